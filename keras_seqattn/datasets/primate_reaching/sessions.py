"""The published sessions: names, areas, and the digests that are known."""

import hashlib
import os
import pathlib

URL = "https://zenodo.org/records/3854034/files/{name}.mat?download=1"

_DAYS = {
    "indy": (
        "20160407_02 20160411_01 20160411_02 20160418_01 20160419_01 "
        "20160420_01 20160426_01 20160622_01 20160624_03 20160627_01 "
        "20160630_01 20160915_01 20160916_01 20160921_01 20160927_04 "
        "20160927_06 20160930_02 20160930_05 20161005_06 20161006_02 "
        "20161007_02 20161011_03 20161013_03 20161014_04 20161017_02 "
        "20161024_03 20161025_04 20161026_03 20161027_03 20161206_02 "
        "20161207_02 20161212_02 20161220_02 20170123_02 20170124_01 "
        "20170127_03 20170131_02"
    ),
    "loco": (
        "20170210_03 20170213_02 20170214_02 20170215_02 20170216_02 "
        "20170217_02 20170227_04 20170228_02 20170301_05 20170302_02"
    ),
}
SESSIONS = {
    monkey: tuple(f"{monkey}_{day}" for day in days.split())
    for monkey, days in _DAYS.items()
}
NAMES = SESSIONS["indy"] + SESSIONS["loco"]
# A monkey stands for all its sessions.
RECORDINGS = {
    **{name: (name,) for name in NAMES},
    **SESSIONS,
}

# The record lists an MD5 for each file. These are the ones at hand, from public
# projects that use the sessions.
MD5 = {
    "indy_20160407_02": "63ab3e2e55652fb5709eb024642111cf",
    "indy_20160411_01": "cee905e1021535626a442748e5612643",
    "indy_20160622_01": "c33d5fff31320d709d23fe445561fb6e",
    "indy_20160624_03": "9aa921f0788f6ccd32a1b8808c18eabd",
    "indy_20160627_01": "de58797d649bdf2bec589c074ee991d2",
    "indy_20160630_01": "197413a5339630ea926cbd22b8b43338",
    "indy_20160915_01": "ef6a95c5a1a8d2126b90f5be0505e398",
    "indy_20170124_01": "ea1721fefe443420a356b4f93f5bb731",
    "indy_20170127_03": "3d77802c59e3e4ebe6778326cfc68c0a",
    "indy_20170131_02": "2790b1c869564afaa7772dbf9e42d784",
    "loco_20170210_03": "4cae63b58c4cb9c8abd44929216c703b",
    "loco_20170213_02": "e051a2ddfeb67f31395a8f934b6a04bf",
    "loco_20170214_02": "3f410a56706563b4ce5584c5b5c83cf2",
    "loco_20170215_02": "739b70762d838f3a1f358733c426bb02",
    "loco_20170216_02": "ec480664e7da8c6be0ba8ee709eecf8b",
    "loco_20170217_02": "bba2889a6ea20e74c8a9054e97a80dd4",
    "loco_20170227_04": "47dc8d717ac4e46af31a696422d83ed7",
    "loco_20170228_02": "79d99cd6b8db25ba0420a906350a44ff",
    "loco_20170301_05": "47342da09f9c950050c9213c3df38ea3",
    "loco_20170302_02": "ccbba097e02fa300ab5a87b27702f337",
}


def check_digest(name: str, path: str | os.PathLike[str]) -> None:
    """Raise a `ValueError` if a session's MD5 is known and the file's differs.

    Args:
        name: Name of the session.
        path: Path of the file.
    """
    if name not in MD5:
        return
    with pathlib.Path(path).open("rb") as file:
        found = hashlib.file_digest(
            file, lambda: hashlib.md5(usedforsecurity=False)
        ).hexdigest()
    if found != MD5[name]:
        raise ValueError(
            f"{str(path)!r} is not the published session {name}, or is "
            "damaged: remove it and download it again. Expected: MD5 "
            f"{MD5[name]}. Received: {found}"
        )

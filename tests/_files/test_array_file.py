"""Files of arrays: good ones by value, bad ones by their message."""

import io
import os
import struct
import time
import tracemalloc
import zipfile

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from keras_seqattn._files.array_file import LABELS
from keras_seqattn._files.array_file import MAX_BYTES
from keras_seqattn._files.array_file import ArrayFile
from keras_seqattn._files.array_file import is_array_file

SPIKES = np.arange(12, dtype="uint8").reshape(4, 3)
VELOCITY = np.linspace(-1, 1, 8).reshape(4, 2)
NAMES = np.array(["REST", "WALK"])


def save(tmp_path, name="arrays.npz", write=np.savez, **arrays):
    with open(tmp_path / name, "wb") as file:
        write(file, **arrays)
    return tmp_path / name


def member(array, **options):
    """The bytes of an `.npy` member."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array), **options)
    return file.getvalue()


def header(shape, descr="<f8"):
    """A header that promises more than follows."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def archive(path, *members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def read_all(path):
    with ArrayFile(path) as file:
        return {name: file.read(name, LABELS) for name in file.names}


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("name", ["a.npz", "A.NPZ", "without_suffix"])
def test_arrays_come_back_as_they_are(tmp_path, write, name):
    arrays = {
        "spikes": SPIKES,
        "vel": VELOCITY,
        "fortran": np.asfortranarray(VELOCITY),
        "names": NAMES,
        "empty": np.zeros((0, 3), "float32"),
        "scalar": np.float32(0.05),
        "big_endian": VELOCITY.astype(">f4"),
    }
    path = save(tmp_path, name, write, **arrays)
    found = read_all(path)
    assert list(found) == list(arrays)
    for key, array in arrays.items():
        np.testing.assert_array_equal(found[key], array)
        assert found[key].dtype == np.asarray(array).dtype.newbyteorder("=")
    with ArrayFile(path) as file:
        assert file.header("vel") == ((4, 2), np.dtype("float64"))
        assert file.number("scalar") == 0.05
        assert "vel" in file and "pos" not in file
    assert is_array_file(path)


def test_an_npy_file_holds_one_array(tmp_path):
    np.save(tmp_path / "one.npy", VELOCITY)
    with ArrayFile(tmp_path / "one.npy") as file:
        assert file.names == ("arr_0",)
        for _ in range(2):
            np.testing.assert_array_equal(file.read("arr_0"), VELOCITY)


def test_a_link_is_followed_a_folder_and_a_pipe_are_not_read(tmp_path):
    path = save(tmp_path, x=VELOCITY)
    (tmp_path / "link.npz").symlink_to(path)
    np.testing.assert_array_equal(
        read_all(tmp_path / "link.npz")["x"], VELOCITY
    )
    with pytest.raises(ValueError, match="is a folder"):
        ArrayFile(tmp_path)
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(ValueError, match="a pipe or a device"):
        ArrayFile(tmp_path / "pipe.npz")
    (tmp_path / "dangling.npz").symlink_to(tmp_path / "none")
    for name in ("dangling.npz", "none.npz"):
        with pytest.raises(FileNotFoundError, match=name):
            ArrayFile(tmp_path / name)


def test_objects_are_refused_only_when_they_are_asked_for(tmp_path):
    # As pynapple writes its files.
    path = save(
        tmp_path,
        t=VELOCITY[:, 0],
        _metadata=np.array({"location": ["adn"]}, dtype=object),
        mixed=np.array([("a", {})], dtype=[("x", "U1"), ("y", "O")]),
    )
    with ArrayFile(path) as file:
        np.testing.assert_array_equal(file.read("t"), VELOCITY[:, 0])
        assert "_metadata" in file
        for name in ("_metadata", "mixed"):
            with pytest.raises(ValueError, match="Python objects") as caught:
                file.read(name)
            assert repr(str(path)) in str(caught.value)
            assert "numpy.savez(path, name=array)" in str(caught.value)
            assert "allow_pickle" not in str(caught.value)


def test_two_members_of_one_name(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        archive(
            tmp_path / "two.npz",
            ("x.npy", member(VELOCITY)),
            ("x.npy", member(SPIKES)),
        )
    with pytest.raises(ValueError, match=r"two arrays of the name 'x'.*savez"):
        ArrayFile(tmp_path / "two.npz")


def test_type_and_rank_are_stated_by_the_reader(tmp_path):
    path = save(tmp_path, x=VELOCITY, names=NAMES, z=VELOCITY * 1j)
    with ArrayFile(path) as file:
        with pytest.raises(
            ValueError, match=r"'x' .* must hold integers\. Rec"
        ):
            file.read("x", "ui")
        with pytest.raises(ValueError, match=r"booleans or integers or floats"):
            file.read("names")
        with pytest.raises(ValueError, match=r"dtype=complex128"):
            file.read("z")
        with pytest.raises(ValueError, match=r"of rank 1 or 3\..*\(4, 2\)"):
            file.read("x", rank=(1, 3))
        with pytest.raises(ValueError, match=r"must be one finite number"):
            file.number("x")
        with pytest.raises(ValueError, match=r"no array 'y'.*'x', 'names'"):
            file.read("y")
        with pytest.raises(ValueError, match=r"lacks \['a'\]\. Needed\. Rec"):
            file.check_names(["x", "a"], "Needed.")


def test_what_would_not_fit_is_refused_before_it_is_unpacked(tmp_path):
    # 1.5 GB of zeros in 1.5 MB, written piece by piece.
    path = tmp_path / "zeros.npz"
    count = 1_500_000_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        with file.open("x.npy", "w", force_zip64=True) as stream:
            stream.write(header((count,), "|u1"))
            for _ in range(150):
                stream.write(bytes(count // 150))
    assert path.stat().st_size < 2e6
    tebibytes = archive(
        tmp_path / "declared.npz", ("x.npy", header((7 * 2**37,)) + bytes(800))
    )
    (tmp_path / "declared.npy").write_bytes(header((7 * 2**37,)) + bytes(800))
    empty = archive(tmp_path / "empty.npz", ("x.npy", header((2**60,), "<U0")))
    for file, message in (
        (path, "unpack from .* to 1,500,000,.* which no recording does"),
        (tebibytes, r"too large: .* 7,696,581,394,432 bytes.*2,147,483,648"),
        (tmp_path / "declared.npy", "7,696,581,394,432 bytes"),
        (empty, "too large"),
    ):
        tracemalloc.start()
        began = time.perf_counter()
        with pytest.raises(ValueError, match=message) as caught:
            read_all(file)
        assert time.perf_counter() - began < 1
        assert tracemalloc.get_traced_memory()[1] < 2e7
        tracemalloc.stop()
        assert repr(str(file)) in str(caught.value)


def test_the_limit_is_of_all_that_is_read(tmp_path):
    path = save(tmp_path, a=VELOCITY, b=VELOCITY, c=VELOCITY)
    with ArrayFile(path, max_bytes=450) as file:
        for name in "aabb":  # twice the same is once; 64 and a header of 128
            file.read(name)
        with pytest.raises(ValueError, match=r"576 bytes, more than the 450"):
            file.read("c")
    assert MAX_BYTES == 2**31


def test_a_member_that_holds_less_or_more_than_it_declares(tmp_path):
    less = archive(tmp_path / "a.npz", ("x.npy", header((50,)) + bytes(80)))
    with pytest.raises(ValueError, match="declares 400 bytes of numbers and"):
        read_all(less)
    more = archive(tmp_path / "b.npz", ("x.npy", header((5,)) + bytes(80)))
    with pytest.raises(ValueError, match="bytes after the array's last"):
        read_all(more)


def damaged(tmp_path):
    """Name, content and what the message must hold."""
    good = save(tmp_path, x=VELOCITY).read_bytes()
    packed = save(
        tmp_path, "c.npz", np.savez_compressed, x=np.arange(999.0)
    ).read_bytes()
    yield "empty", b"", "neither an `.npz` file"
    yield "text", b"spikes,velocity", "begins with b'spikes'"
    yield "cut in the middle", good[: len(good) // 2], "damaged or cut short"
    yield "cut compressed", packed[:-30], "damaged or cut short"
    at = packed.index(b"x.npy") + 500
    yield "bytes", packed[:at] + b"\xff" * 9 + packed[at + 9 :], "'x' in"
    at = good.index(VELOCITY.tobytes())
    yield "checksum", good[:at] + b"\xff" + good[at + 1 :], "Bad CRC-32"
    # Flags and the method of compression, in both of the entry's headers.
    for name, offset, value, message in (
        ("encrypted", (6, 8), 1, "encrypted"),
        ("method", (8, 10), 97, "not supported"),
    ):
        content = bytearray(good)
        struct.pack_into("<H", content, offset[0], value)
        central = content.index(b"PK\x01\x02")
        struct.pack_into("<H", content, central + offset[1], value)
        yield name, bytes(content), message
    for method, name in ((zipfile.ZIP_LZMA, "lzma"), (zipfile.ZIP_BZIP2, "bz")):
        path = archive(
            tmp_path / f"{name}.npz",
            ("x.npy", member(np.random.default_rng(0).normal(size=500))),
            compression=method,
        )
        content = bytearray(path.read_bytes())
        content[200:260] = bytes(60)
        yield name, bytes(content), "damaged or cut short"
    for name, content in {
        "not an array": b"hello",
        "no magic": b"\x93NUMPX" + member(VELOCITY)[6:],
        "cut header": member(VELOCITY)[:40],
        "version": b"\x93NUMPY\x09\x00" + member(VELOCITY)[8:],
        "no dictionary": member(VELOCITY).replace(b"{'descr'", b"('descr' "),
        "negative": member(VELOCITY).replace(b"(4, 2)", b"(-4,2)"),
        "no type": member(VELOCITY).replace(b"<f8", b"<q9"),
        "nested": member(VELOCITY).replace(b"(4, 2), }", b"((((((((("),
    }.items():
        path = archive(tmp_path / "header.npz", ("x.npy", content))
        yield f"header: {name}", path.read_bytes(), "'x' in .* damaged or cut"


def test_damaged_files_say_which_and_what_to_do(tmp_path):
    for name, content, message in damaged(tmp_path):
        path = tmp_path / "bad.npz"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message) as caught:
            read_all(path)
        text = str(caught.value)
        assert repr(str(path)) in text, name
        assert "allow_pickle" not in text, name


@hypothesis.settings(max_examples=400, deadline=None, derandomize=True)
@hypothesis.given(data=st.data())
def test_whatever_is_changed_only_clear_errors_come_out(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    kind = data.draw(st.sampled_from(["savez", "compressed", "npy"]))
    file = io.BytesIO()
    if kind == "npy":
        np.save(file, VELOCITY)
    else:
        write = np.savez if kind == "savez" else np.savez_compressed
        write(file, x=VELOCITY, names=NAMES, spikes=SPIKES)
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    del content[data.draw(st.integers(0, 2 * len(content))) :]
    path = folder / "fuzzed.npz"
    path.write_bytes(content)
    try:
        found = read_all(path)
    except (ValueError, OSError) as error:
        assert str(path) in str(error)
        assert "allow_pickle" not in str(error)
    else:
        assert all(isinstance(array, np.ndarray) for array in found.values())

"""Whether the elements of a MATLAB v5 file fit into each other.

SciPy trusts the sizes and types in a file: of some that are damaged it reads
beyond its memory, and the process dies. Format: MathWorks, "MAT-File Format"
(version 5), level 5 MAT-files.
"""

import math
import mmap
import struct
import zlib

MATRIX, COMPRESSED = 14, 15
INT8, INT32, UINT32 = 1, 5, 6
SIZES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
# UTF-8, 16 and 32, of as many bytes as a text needs.
TEXTS = (16, 17, 18)
CELL, STRUCT, OBJECT, CHAR = 1, 2, 3, 4
NUMBERS = range(6, 16)
DEEPEST = 20

Element = tuple[int, int, int]  # Type, first byte, number of bytes.


class Elements:
    """Elements of a file's bytes.

    Args:
        data: The bytes.
        order: `"<"` or `">"`, their order.
        limit: How many bytes a compressed element may have unpacked.
    """

    def __init__(self, data: bytes | mmap.mmap, order: str, limit: int) -> None:
        self.data, self.order, self.limit = data, order, limit

    def check(self, at: int) -> None:
        """Raise ValueError unless all elements from `at` on are whole."""
        stop = len(self.data)
        while at < stop:
            (kind, first, count), at = self._next(at, stop)
            if kind == COMPRESSED:
                unpacker = zlib.decompressobj()
                try:
                    unpacked = unpacker.decompress(
                        self.data[first : first + count], self.limit
                    )
                except zlib.error as error:
                    raise ValueError(str(error)) from error
                if unpacker.unconsumed_tail:
                    continue  # Too large: of this no more is read.
                # At its end the checksum has been compared.
                if not unpacker.eof:
                    raise ValueError("a variable that is cut off")
                Elements(unpacked, self.order, self.limit).check(0)
            elif kind == MATRIX:
                self._matrix(first, first + count, 0)
            else:
                raise ValueError(f"a variable of type {kind}")

    def _next(self, at: int, stop: int) -> tuple[Element, int]:
        """Return the element at a place, and the place behind it."""
        if at + 8 > stop:
            raise ValueError("an element that is cut off")
        kind, count = self._integers("II", at)
        if kind >> 16:  # Four bytes at most, in the tag itself.
            kind, count, first, behind = kind & 0xFFFF, kind >> 16, at + 4, 8
            if count > 4:
                raise ValueError("a small element that is none")
        else:
            first, behind = at + 8, 8 + count
            if kind != COMPRESSED:
                behind += -count % 8
        if first + count > stop:
            raise ValueError("an element that ends beyond its place")
        return (kind, first, count), min(at + behind, stop)

    def _matrix(self, at: int, stop: int, depth: int) -> None:
        if depth > DEEPEST:
            raise ValueError("cells too deep within others")
        if at == stop:
            return  # Nothing, in a cell.
        flags, at = self._next(at, stop)
        sizes, at = self._next(at, stop)
        name, at = self._next(at, stop)
        if (
            (flags[0], flags[2]) != (UINT32, 8)
            or sizes[0] != INT32
            or sizes[2] % 4
            or not 8 <= sizes[2] <= 128
            or name[0] != INT8
        ):
            raise ValueError("a variable without its kind, size or name")
        word = self._integers("I", flags[1])[0]
        shape = self._integers(f"{sizes[2] // 4}i", sizes[1])
        if min(shape) < 0:
            raise ValueError(f"a size below 0, {shape}")
        kind, is_complex, total = word & 0xFF, word >> 11 & 1, math.prod(shape)
        if kind in NUMBERS or kind == CHAR:
            for _ in range(1 + is_complex):
                element, at = self._next(at, stop)
                self._numbers(element, total, kind)
        elif kind in (CELL, STRUCT, OBJECT):
            if kind == OBJECT:
                _, at = self._next(at, stop)
            if kind != CELL:
                fields, at = self._fields(at, stop)
                total *= fields
            for _ in range(total):
                (inner, first, count), at = self._next(at, stop)
                if inner != MATRIX:
                    raise ValueError("a cell that holds no variable")
                self._matrix(first, first + count, depth + 1)
        # Of others no more than the name is read.

    def _numbers(self, element: Element, total: int, kind: int) -> None:
        found, _, count = element
        if kind == CHAR and found in TEXTS:
            return
        if found not in SIZES or count != total * SIZES[found]:
            raise ValueError(
                f"{total} values in {count} bytes of the type {found}"
            )

    def _fields(self, at: int, stop: int) -> tuple[int, int]:
        length, at = self._next(at, stop)
        names, at = self._next(at, stop)
        width = 0
        if length[0] == INT32 and length[2] == 4:
            width = self._integers("i", length[1])[0]
        if not 0 < width <= 1024 or names[0] != INT8 or names[2] % width:
            raise ValueError("a struct without the names of its fields")
        return names[2] // width, at

    def _integers(self, form: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + form, self.data, at)

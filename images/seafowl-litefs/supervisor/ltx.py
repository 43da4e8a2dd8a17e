"""LiteFS's transaction files (superfly/ltx 0.3.14), and the checksums that LiteFS keeps of a database.

Python has no CRC-64, and one that goes byte by byte takes ten seconds for 100 MB. This one computes with whole files as
numbers: the polynomial has four small terms, so that a number of any length is halved by four shifts.
"""

import os
import re
import struct
import time
from dataclasses import dataclass
from pathlib import Path

HEADER_BYTES = 100
TRAILER_BYTES = 16

_MAGIC = b"LTX1"
_COMPRESSED = 1
_PAGE_SIZES = {512 << shift for shift in range(8)}
_LOCK_BYTE = 1 << 30
"""SQLite never uses the page that has this byte of the file, and LiteFS leaves it out of its checksums."""

_FLAG = 1 << 63
"""Set in every checksum of LiteFS, so that none is 0."""

_ALL_ONES = (1 << 64) - 1
_CRC_BITS = 64
_CHUNK_BYTES = 1 << 20

_NAME = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})\.ltx")

_LZ4_MAGIC = b"\x04\x22\x4d\x18"
_LZ4_VERSION = 0x40
_LZ4_BLOCK_CHECKSUMS, _LZ4_CONTENT_SIZE, _LZ4_CONTENT_CHECKSUM, _LZ4_DICTIONARY = 0x10, 0x08, 0x04, 0x01
_LZ4_NOT_COMPRESSED = 1 << 31
_LZ4_LEAST_MATCH = 4
_LZ4_LONG = 15
_LZ4_GOES_ON = 255


class LtxError(Exception):
    """A transaction file is not as LiteFS wrote it; the text says how, without the file's name."""


def crc64(data: bytes, crc: int = 0) -> int:
    """CRC-64 as LiteFS uses it (ISO 3309: x⁶⁴ + x⁴ + x³ + x + 1, bits reflected) of what had `crc`, and then `data`."""
    for start in range(0, len(data), _CHUNK_BYTES):
        chunk = data[start : start + _CHUNK_BYTES]
        # The lowest bit has the highest power; the register is what the next 64 bits are added to.
        crc = _remainder(int.from_bytes(chunk, "little") ^ crc ^ _ALL_ONES, 8 * len(chunk) + _CRC_BITS) ^ _ALL_ONES
    return crc


def _remainder(number: int, bits: int) -> int:
    """What a polynomial of `bits` coefficients, the lowest bit the highest power, leaves when it is divided."""
    while bits > _CRC_BITS:
        # x⁶⁴ leaves x⁴ + x³ + x + 1, so its square leaves x⁸ + x⁶ + x² + 1, and so on for every doubling of the power.
        scale = 1 << ((bits - 1) // _CRC_BITS).bit_length() - 1
        low_bits = _CRC_BITS * scale
        high_bits = bits - low_bits
        high = number & ((1 << high_bits) - 1)
        bits = max(low_bits, high_bits + 4 * scale)
        folded = (number >> high_bits) << (bits - low_bits)
        for power in (0, scale, 3 * scale, 4 * scale):
            folded ^= high << (bits - high_bits - power)
        number = folded
    return number


class RollingChecksum:
    """LiteFS's checksum of a database: of every page's number and content, all added up.

    A CRC of a sum is the sum of the CRCs, but for what each begins with: so the pages are added up first, and one CRC
    is enough.
    """

    def __init__(self, page_size: int) -> None:
        self._page_size = page_size
        self._numbers = self._contents = self._pages = 0

    def add(self, number: int, page: bytes) -> None:
        """Add the page called `number` (the first is 1)."""
        if number == _LOCK_BYTE // self._page_size + 1:
            return
        self._numbers ^= number
        self._contents ^= int.from_bytes(page, "little")
        self._pages += 1

    def value(self) -> int:
        """The checksum, as LiteFS has it in a transaction file."""
        total = crc64(self._numbers.to_bytes(4, "big") + self._contents.to_bytes(self._page_size, "little"))
        if self._pages % 2 == 0:
            total ^= crc64(bytes(4 + self._page_size))
        return total | _FLAG


@dataclass(frozen=True)
class Transactions:
    """What a transaction file has."""

    page_size: int
    commit: int
    """Pages of the database after it; 0 where it was dropped."""

    pages: dict[int, bytes]
    wal_offset: int
    wal_size: int
    wal_salts: tuple[int, int]
    checksum: int
    """Of the database after it."""


@dataclass(frozen=True)
class Name:
    """A transaction file by its name."""

    first: int
    last: int
    """Numbers of its transactions."""


def parse_name(name: str) -> Name | None:
    """What a file's name says; None where it is no transaction file's."""
    parts = _NAME.fullmatch(name)
    return None if parts is None else Name(int(parts[1], 16), int(parts[2], 16))


def last_file(folder: Path) -> Path | None:
    """The transaction file that LiteFS begins with; None where there is none. Raises OSError."""
    try:
        files = sorted(folder.iterdir())
    except FileNotFoundError:
        return None
    named = [(name.last, file) for file in files if (name := parse_name(file.name)) is not None]
    # Of equal ones the first, as LiteFS does it.
    return max(named, key=lambda one: one[0])[1] if named else None


def read(file: Path) -> Transactions:
    """Read a whole transaction file and verify it as LiteFS does. Raises LtxError; OSError where it cannot be read."""
    content = file.read_bytes()
    if len(content) < HEADER_BYTES + TRAILER_BYTES:
        raise LtxError(f"is cut short: it has {len(content)} bytes")
    header = content[:HEADER_BYTES]
    flags, page_size, commit = (int.from_bytes(header[at : at + 4], "big") for at in (4, 8, 12))
    if header[:4] != _MAGIC or flags & ~_COMPRESSED or page_size not in _PAGE_SIZES:
        raise LtxError("does not begin as a transaction file does")
    body = memoryview(content)[HEADER_BYTES:]
    block, end = _decompressed(body) if flags & _COMPRESSED else (body, None)
    pages, length = _pages(block, page_size)
    end = length if end is None else end
    trailer = bytes(body[end : end + TRAILER_BYTES])
    if len(trailer) < TRAILER_BYTES:
        raise LtxError("is cut short: its end is missing")
    checksum, own = int.from_bytes(trailer[:8], "big"), int.from_bytes(trailer[8:], "big")
    crc = crc64(trailer[:8], crc64(bytes(block[:length]), crc64(header)))
    if crc | _FLAG != own:
        raise LtxError("does not have the checksum that it was written with")
    return Transactions(
        page_size,
        commit,
        pages,
        wal_offset=int.from_bytes(header[48:56], "big"),
        wal_size=int.from_bytes(header[56:64], "big"),
        wal_salts=(int.from_bytes(header[64:68], "big"), int.from_bytes(header[68:72], "big")),
        checksum=checksum,
    )


def write(file: Path, number: int, before: int, after: Transactions) -> None:
    """Write transaction `number`, of a database that had the checksum `before`, without compression (and without what
    `after` says of a write-ahead log). It is there whole, or not at all. Raises OSError.
    """
    header = struct.pack(
        ">4s3I4Q28x", _MAGIC, 0, after.page_size, after.commit, number, number, time.time_ns() // 1_000_000, before
    )
    pages = b"".join(page.to_bytes(4, "big") + content for page, content in sorted(after.pages.items()))
    content = header.ljust(HEADER_BYTES, b"\0") + pages + bytes(4) + after.checksum.to_bytes(8, "big")
    new = file.with_suffix(".tmp")
    with new.open("wb") as opened:
        opened.write(content + (crc64(content) | _FLAG).to_bytes(8, "big"))
        opened.flush()
        os.fsync(opened.fileno())
    new.replace(file)
    os.sync()


def _pages(block: memoryview, page_size: int) -> tuple[dict[int, bytes], int]:
    """The pages of a page block, by number, and its length: each has its number before it, and a 0 ends them."""
    pages: dict[int, bytes] = {}
    at = 0
    while True:
        number = bytes(block[at : at + 4])
        if len(number) < 4:  # noqa: PLR2004 (bytes of a number)
            raise LtxError("is cut short: it ends within its pages")
        at += 4
        if not any(number):
            return pages, at
        page = bytes(block[at : at + page_size])
        if len(page) < page_size:
            raise LtxError("is cut short: it ends within a page")
        pages[int.from_bytes(number, "big")] = page
        at += page_size


def _decompressed(body: memoryview) -> tuple[memoryview, int]:
    """The content of the LZ4 frame that `body` begins with (as lz4's frame format 1.6 has it), and the frame's length.

    The checksums of LZ4 itself (xxHash) are not verified: the transaction file's covers the content.
    """
    flags = body[4] if len(body) > 4 else 0  # noqa: PLR2004 (after the magic number)
    if bytes(body[:4]) != _LZ4_MAGIC or flags & 0xC0 != _LZ4_VERSION:
        raise LtxError("does not have compressed pages after its header")
    at = 7 + (8 if flags & _LZ4_CONTENT_SIZE else 0) + (4 if flags & _LZ4_DICTIONARY else 0)
    content = bytearray()
    while True:
        size = int.from_bytes(body[at : at + 4], "little")
        block_at = at + 4
        if block_at > len(body):
            raise LtxError("is cut short: it ends within its pages")
        if size == 0:
            return memoryview(content), block_at + (4 if flags & _LZ4_CONTENT_CHECKSUM else 0)
        at = block_at + (size & ~_LZ4_NOT_COMPRESSED)
        block = bytes(body[block_at:at])
        if at > len(body):
            raise LtxError("is cut short: it ends within its pages")
        if size & _LZ4_NOT_COMPRESSED:
            content += block
        else:
            _decompress_block(block, content)
        at += 4 if flags & _LZ4_BLOCK_CHECKSUMS else 0


def _decompress_block(block: bytes, content: bytearray) -> None:
    """Append what an LZ4 block has to `content`, which it may copy from."""
    at, end = 0, len(block)
    try:
        while True:
            token = block[at]
            at += 1
            literals = token >> 4
            if literals == _LZ4_LONG:
                more = _LZ4_GOES_ON
                while more == _LZ4_GOES_ON:
                    more = block[at]
                    literals += more
                    at += 1
            content += block[at : at + literals]
            at += literals
            if at >= end:
                if at > end:
                    raise LtxError("has compressed pages that cannot be read")
                return
            distance = block[at] | block[at + 1] << 8
            at += 2
            length = (token & 15) + _LZ4_LEAST_MATCH
            if token & 15 == _LZ4_LONG:
                more = _LZ4_GOES_ON
                while more == _LZ4_GOES_ON:
                    more = block[at]
                    length += more
                    at += 1
            start = len(content) - distance
            if distance == 0 or start < 0:
                raise LtxError("has compressed pages that cannot be read")
            copied = content[start : start + length]
            # A copy may reach into itself, which repeats it.
            content += copied if len(copied) == length else (copied * (length // len(copied) + 1))[:length]
    except IndexError:
        raise LtxError("has compressed pages that cannot be read") from None

"""What the bytes at the start of a file say about it, whatever its name is.

Everything here is a function of the first HEAD_BYTES of a file, so that a
corpus is recognised without reading it.
"""

import codecs
import json
import re

HEAD_BYTES = 1 << 16

# A first line of these two blanks holds no word and ends no document. Files
# that this package writes begin with it: what follows is text even if it looks
# like something else, such as a corpus of source code that begins with JSON.
TEXT_MARK = b" \t\n"

PARQUET = b"PAR1"

_PACKINGS = {
  "gzip": re.compile(rb"\x1f\x8b\x08"),
  "bzip2": re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"),
  "xz": re.compile(rb"\xfd7zXZ\0"),
  "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
  "zip": re.compile(rb"PK(?:\x03\x04|\x05\x06)"),
}
_MARKS = (  # UTF-32 first: its little-endian mark begins as that of UTF-16
  (codecs.BOM_UTF32_LE, "utf-32-le"),
  (codecs.BOM_UTF32_BE, "utf-32-be"),
  (codecs.BOM_UTF8, "utf-8"),
  (codecs.BOM_UTF16_LE, "utf-16-le"),
  (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_UNPACK = "unpack it and name the text files in it"
_CONVERT = "save it as plain text in UTF-8"
_COLUMN = "name the column that holds its text as text_field"
_FIELD = "name the field that holds its text as text_field"
_DROP = "a corpus is text only"
_EXPORT = "export its text to JSON lines or Parquet"
# Bytes at the start that no text begins with.
_MAGIC = {
  PARQUET: ("a Parquet file", _COLUMN),
  b"ARROW1\0\0": ("an Arrow or Feather file", _EXPORT),
  b"FEA1": ("a Feather file", _EXPORT),
  b"SQLite format 3\0": ("an SQLite database", _EXPORT),
  b"\x89HDF\r\n\x1a\n": ("an HDF5 file", _EXPORT),
  b"Obj\x01": ("an Avro file", _EXPORT),
  b"ORC\x03": ("an ORC file", _EXPORT),
  b"7z\xbc\xaf\x27\x1c": ("a 7z archive", _UNPACK),
  b"Rar!\x1a\x07": ("a RAR archive", _UNPACK),
  b"LZIP\x01": ("packed with lzip", _UNPACK),
  b"\x04\x22\x4d\x18": ("packed with LZ4", _UNPACK),
  b"\xff\x06\0\0sNaPpY": ("packed with Snappy", _UNPACK),
  b"!<arch>\n": ("an ar archive", _UNPACK),
  b"%PDF-": ("a PDF file", _CONVERT),
  b"%!PS": ("a PostScript file", _CONVERT),
  b"{\\rtf": ("an RTF file", _CONVERT),
  b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("a file of old Word", _CONVERT),
  b"\x89PNG\r\n\x1a\n": ("a PNG image", _DROP),
  b"\xff\xd8\xff": ("a JPEG image", _DROP),
  b"GIF87a": ("a GIF image", _DROP),
  b"GIF89a": ("a GIF image", _DROP),
  b"II*\0": ("a TIFF image", _DROP),
  b"MM\0*": ("a TIFF image", _DROP),
  b"ID3\x03": ("an MP3 file", _DROP),
  b"ID3\x04": ("an MP3 file", _DROP),
  b"OggS\0": ("an Ogg file", _DROP),
  b"\x7fELF": ("a program (ELF)", _DROP),
  b"\xfe\xed\xfa\xce": ("a program (Mach-O)", _DROP),
  b"\xfe\xed\xfa\xcf": ("a program (Mach-O)", _DROP),
  b"\xce\xfa\xed\xfe": ("a program (Mach-O)", _DROP),
  b"\xcf\xfa\xed\xfe": ("a program (Mach-O)", _DROP),
  b"\xca\xfe\xba\xbe": ("a program (Mach-O or Java)", _DROP),
  b"\0asm": ("a program (WebAssembly)", _DROP),
  b"\x93NUMPY": ("a NumPy array", _DROP),
  b"version https://git-lfs.github.com/spec/": (
    "a pointer of Git LFS, not the file itself",
    "fetch the file by git lfs pull",
  ),
}
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
# Names in a zip archive that make it more than an archive.
_ZIP_KINDS = (
  (re.compile(r"word/document"), ("a Word document (docx)", _CONVERT)),
  (re.compile(r"\[Content_Types\]\.xml$"), ("an Office document", _CONVERT)),
  (re.compile(r"mimetype$"), ("an OpenDocument or EPUB file", _CONVERT)),
  (re.compile(r".*\.npy$"), ("an archive of NumPy arrays (npz)", _DROP)),
  (re.compile(r"(.*/)?data\.pkl$"), ("a PyTorch file", _DROP)),
  (re.compile(r"META-INF/"), ("a Java archive", _DROP)),
)

# Bytes that text does not have: neither blanks, backspace nor escape.
_CONTROLS = bytes({*range(32), 127} - {8, 9, 10, 11, 12, 13, 27})
_MOST_CONTROLS = 0.01, 0.1  # of text that is not UTF-8, of text that is
_MOST_INVALID = 0.001  # of the bytes of text that is meant to be UTF-8
_FEW_CONTROLS = 8  # as many are accepted in any text
_JSON_KEY = re.compile(r'[ \t\r\n]*(\[\s*)?\{\s*"(?:[^"\\]|\\.)*"\s*:', re.S)


def packing(head: bytes) -> str | None:
  """The packing of a file: gzip, bzip2, xz, zstd, zip, or None."""
  matches = (name for name, magic in _PACKINGS.items() if magic.match(head))
  return next(matches, None)


def byte_order_mark(head: bytes) -> tuple[str, int]:
  """The encoding that a byte-order mark names, and the bytes of the mark.

  Without a mark that is ('utf-8', 0).
  """
  for mark, encoding in _MARKS:
    if head.startswith(mark):
      return encoding, len(mark)
  return "utf-8", 0


def why_no_text(head: bytes) -> str | None:
  """What the file is and what to do, if it is no text; else None.

  Args:
    head: the first HEAD_BYTES of the file, decompressed and in UTF-8.
  """
  if head.startswith(TEXT_MARK):
    return None
  if is_json(head):
    return _why("JSON, so its keys would become words", _FIELD)
  return _binary_format(head) or _not_characters(head)


def why_no_records(head: bytes) -> str | None:
  """As `why_no_text`, for a file of records, one field of which is text."""
  if head.startswith(PARQUET) or is_json(head):
    return None
  return (
    "holds neither JSON nor Parquet: text_field is only for files of records."
  )


def is_json(head: bytes) -> bool:
  """Whether a file begins with a JSON object, or an array that is not numbers.

  The first value must fill its line: text may begin with a brace, or with the
  number of a footnote in brackets.
  """
  if head.lstrip(b" \t\r\n")[:1] not in (b"{", b"["):
    return False
  text = head.decode("utf-8", "replace").lstrip(" \t\r\n")
  try:
    value, end = json.JSONDecoder().raw_decode(text)
  except (ValueError, RecursionError):  # or only cut by the end of the head
    return len(head) >= HEAD_BYTES and bool(_JSON_KEY.match(text))
  if text[end:].split("\n", 1)[0].strip(" \t\r"):
    return False
  numbers = isinstance(value, list) and all(
    isinstance(item, int | float) for item in value
  )
  return bool(value) and not numbers


def zip_kind(names: list[str]) -> str | None:
  """As `why_no_text`, for a zip archive with members of these names."""
  for pattern, kind in _ZIP_KINDS:
    if any(pattern.match(name) for name in names):
      return _why(*kind)
  return None


def _why(what: str, remedy: str) -> str:
  return f"is {what}: {remedy}."


def _binary_format(head: bytes) -> str | None:
  if inner := packing(head):
    return _why(f"packed twice ({inner} inside)", _UNPACK)
  for magic, kind in _MAGIC.items():
    if head.startswith(magic):
      return _why(*kind)
  if head.startswith(b"RIFF") and b"\0" in head[4:8] + head[12:32]:
    what = "a WebP image" if head[8:12] == b"WEBP" else "a RIFF sound or video"
    return _why(what, _DROP)
  if head[4:8] == b"ftyp" and head.startswith(b"\0\0"):
    return _why("an MP4 video or HEIF image", _DROP)
  if _PICKLE.match(head):
    return _why("a pickle of Python", _EXPORT)
  if _is_tar(head):
    return _why("a tar archive", _UNPACK)
  return None


def _is_tar(head: bytes) -> bool:
  """By the checksum of the first header, which oldest archives have too."""
  header = head[:512]
  field = header[148:156].strip(b" \0")
  if len(header) < 512 or not re.fullmatch(rb"[0-7]+", field):
    return False
  # The sum is taken with the field itself filled with spaces.
  total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
  return total == int(field, 8)


def _not_characters(head: bytes) -> str | None:
  """Tells bytes that are no text of any one-byte encoding or of UTF-8."""
  order = _order_of_utf16(head)
  if order:
    return _why(
      f"UTF-16 ({order}-endian) without a byte-order mark", "save it as UTF-8"
    )
  controls = len(head) - len(head.translate(None, _CONTROLS))
  if controls <= _FEW_CONTROLS:
    alone = not head.strip(_CONTROLS)  # a small file of nothing else
    return _why("no text", _DROP) if alone and head else None
  if controls <= _MOST_CONTROLS[_is_utf8(head)] * len(head):
    return None
  if head.startswith(b"MZ"):
    return _why("a program of Windows", _DROP)
  return _why("no text: it has too many control characters", _DROP)


def _is_utf8(head: bytes) -> bool:
  try:  # a character that the end of the head cuts is no error
    codecs.getincrementaldecoder("utf-8")().decode(head)
  except UnicodeDecodeError:
    return False
  return True


def is_other_encoding(head: bytes) -> bool:
  """Whether text is likely in another encoding than UTF-8, such as Latin-1.

  >>> is_other_encoding("cafés".encode()), is_other_encoding(b"caf\\xe9s")
  (False, True)
  """
  if _is_utf8(head):
    return False
  text = head.decode("utf-8", "surrogateescape")
  invalid = sum("\udc80" <= character <= "\udcff" for character in text)
  return invalid > _MOST_INVALID * len(head)


def _order_of_utf16(head: bytes) -> str | None:
  """'little' or 'big' if the bytes are UTF-16, else None.

  In most languages nearly every other byte is NUL. In the others at least
  spaces, digits or line breaks have one, and all of the rest are characters.
  """
  head = head[: len(head) // 2 * 2]
  nuls = head.count(0)
  if nuls < max(3, 0.002 * len(head)):
    return None
  odd = head[1::2].count(0)
  order, most = ("little", odd) if 2 * odd > nuls else ("big", nuls - odd)
  if most < 0.98 * nuls:
    return None
  if most >= 0.35 * len(head):  # ASCII with so many NULs is nothing else
    return order
  if len(head) < 64 or _is_utf8(head):  # ASCII with a few NULs
    return None
  try:
    decoder = codecs.getincrementaldecoder(f"utf-16-{order[0]}e")()
    decoded = decoder.decode(head)
  except UnicodeDecodeError:
    return None
  letters = sum(x.isalnum() or x.isspace() for x in decoded)
  return order if letters > 0.75 * len(decoded) else None

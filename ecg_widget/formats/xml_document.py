"""XML that someone else wrote: bounded before and while it is parsed, without entities and without anything fetched.

What a document may cost is known before it is read: the file's size, the number of elements, their depth and the
length of one piece of markup. Entities are refused, declared or used; a document type may name a DTD, as GE's carts
do, which is never opened, but may not bring one.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder

from ecg_widget.records import RecordError

__all__ = ["Element", "attribute", "children", "decode_base64", "finite", "parse", "root_name", "text"]

LARGEST_XML = 64 << 20  # bytes; 10 s of 12 leads have 0.5 MB as HL7 aECG, so this is about 20 minutes
MOST_VALUES = 1 << 23  # samples of all leads: 23 minutes of 12 leads at 500 Hz
MOST_ELEMENTS = 200_000  # with annotations of all waves a recording of 10 s has 2000
DEEPEST = 64  # nested elements; HL7 aECG has 20
LONGEST_MARKUP = 1 << 20  # bytes of one tag, comment or instruction, which the parser must hold as a whole

_CHUNK = 1 << 16  # bytes
_HEAD = 1 << 16  # bytes in which a root must begin; the comments before it are short
_PROLOG = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*>)", re.DOTALL)
_ROOT = re.compile(r"\s*<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)[\s/>]")


def root_name(path: Path) -> str | None:
    """Name of the root element, without its prefix; None where the file does not begin as XML does.

    Reads the first 64 kB and uses no parser.

    Examples
    --------
    >>> root_name(Path("no-such-file.xml")) is None
    True
    """
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        words = head.decode("utf-16", "replace")
    else:
        words = head.removeprefix(b"\xef\xbb\xbf").decode("latin-1")
    if not words.lstrip().startswith("<"):
        return None
    at = 0
    while (part := _PROLOG.match(words, at)) is not None:
        at = part.end()
    root = _ROOT.match(words, at)
    return root[1] if root else None


def parse(path: Path) -> Element:
    """Parse a file within limits.

    Parameters
    ----------
    path
        Of the file.

    Returns
    -------
    xml.etree.ElementTree.Element
        The root; names of elements without their namespace, those of attributes as they stand.

    Raises
    ------
    RecordError
        Too large, too many or too deep elements, entities, a document type with declarations, or no XML.
    ImportError
        The package defusedxml is absent.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.xml").write_text('<a xmlns="urn:b"><c d="1"/></a>')
    ...     root = parse(Path(folder, "a.xml"))
    >>> root.tag, root[0].tag, root[0].attrib
    ('a', 'c', {'d': '1'})
    """
    file = path.name
    try:
        from defusedxml import DefusedXmlException  # noqa: PLC0415  (an extra: needed here alone)
        from defusedxml.ElementTree import DefusedXMLParser  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            f'{file}: expected the package defusedxml, got none; pip install "ecg-widget[xml]"'
        ) from error
    size = path.stat().st_size
    if size > LARGEST_XML:
        raise RecordError(f"{file}: size: expected at most {LARGEST_XML} bytes of XML, got {size}")
    tree = _Bounded(file)
    parser = DefusedXMLParser(target=tree, forbid_entities=True, forbid_external=True)

    def doctype(name: str, *declared: object) -> None:
        if declared[-1]:  # the system's and the public identifier may stand, for they are not followed
            raise RecordError(f"{file}: document type: expected none with declarations, got those of {name[:80]!r}")

    parser.parser.StartDoctypeDeclHandler = doctype
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                tree.silent += len(chunk)
                parser.feed(chunk)
                tree.check_markup()
        root: Element = parser.close()
    except RecordError:
        raise
    except DefusedXmlException as error:
        raise RecordError(
            f"{file}: entities: expected none, declared or external, got {type(error).__name__}"
        ) from error
    except Exception as error:  # a hostile file may raise anything inside the parser
        raise RecordError(f"{file}: expected well-formed XML, got {type(error).__name__}: {error}") from error
    return root


class _Bounded(TreeBuilder):
    """A tree that stops growing, and knows how many bytes the parser has taken in without telling of anything."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file, self.silent, self.elements, self.depth = file, 0, 0, 0

    def check_markup(self) -> None:
        if self.silent > LONGEST_MARKUP:
            raise RecordError(f"{self.file}: markup: expected at most {LONGEST_MARKUP} bytes in one piece, got more")

    def start(self, tag: Any, attrs: Any, /) -> Element:
        self.silent = 0
        self.elements += 1
        self.depth += 1
        if self.elements > MOST_ELEMENTS:
            raise RecordError(f"{self.file}: elements: expected at most {MOST_ELEMENTS}, got more")
        if self.depth > DEEPEST:
            raise RecordError(f"{self.file}: depth: expected at most {DEEPEST} nested elements, got more")
        return super().start(_local(tag), attrs)

    def end(self, tag: Any, /) -> Element:
        self.silent = 0
        self.depth -= 1
        return super().end(_local(tag))

    def data(self, data: Any, /) -> None:
        self.silent = 0
        super().data(data)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def children(element: Element, path: str) -> list[Element]:
    """All elements at a path of names, such as ``"component/series"``, in the document's order."""
    return element.findall(path)


def text(file: str, element: Element, path: str, default: str | None = None) -> str:
    """Text of the first element at a path, without outer blanks.

    Raises
    ------
    RecordError
        Nothing there, and no `default`.

    Examples
    --------
    >>> from xml.etree.ElementTree import XML
    >>> text("x.xml", XML("<a><b> 500 </b></a>"), "b")
    '500'
    """
    found = element.find(path)
    value = (found.text or "").strip() if found is not None else ""
    if value:
        return value
    if default is None:
        raise RecordError(f"{file}: {path}: expected a value in <{element.tag}>, got none")
    return default


def attribute(where: str, element: Element | None, name: str) -> str:
    """Value of an attribute, without outer blanks; `where` names file and element in the error.

    Raises
    ------
    RecordError
        No such element, or without that attribute.
    """
    value = "" if element is None else (element.get(name) or "").strip()
    if not value:
        raise RecordError(f"{where}: {name}: expected a value, got none")
    return value


def finite(where: str, value: str) -> float:
    """Give the number that a text states.

    Raises
    ------
    RecordError
        Anything but a finite number in ASCII digits.

    Examples
    --------
    >>> finite("x.xml: rate", "500")
    500.0
    """
    try:
        number = float(value) if value.isascii() and "_" not in value else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RecordError(f"{where}: expected a number, got {value[:40]!r}")
    return number


def decode_base64(where: str, value: str, most: int) -> bytes:
    r"""Give the bytes that a base64 text stands for.

    Parameters
    ----------
    where
        File and field, for errors.
    value
        The text, with blanks and line ends.
    most
        Bytes that there may be; a longer text is refused before it is decoded.

    Raises
    ------
    RecordError
        Truncated, with other characters or too long.

    Examples
    --------
    >>> decode_base64("x.xml: samples", "AQA= ", 2)
    b'\x01\x00'
    """
    packed = "".join(value.split())
    if len(packed) > (most + 2) // 3 * 4:
        raise RecordError(f"{where}: expected base64 of at most {most} bytes, got {len(packed)} characters")
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RecordError(f"{where}: expected base64, got {error} in {len(packed)} characters") from None

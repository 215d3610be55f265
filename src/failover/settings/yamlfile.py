"""The configuration file: every value as it is written, with its line and column.

PyYAML's `compose` gives nodes and not values, so nothing is lost that a person wrote: `off` stays `off`, a key that
stands there twice is seen twice, and every node knows its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from failover.errors import Mistake
from failover.settings.places import parse_file
from failover.settings.source import FileContents, Found, Source, SourceKind
from failover.settings.types import did_you_mean, nearest, quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_LARGEST = 1024 * 1024
_NULL = "tag:yaml.org,2002:null"
_MOST_MERGES = 100
_MERGE = "tag:yaml.org,2002:merge"
_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "timestamp", "value")}
_KINDS = {yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}


def read_file(path: str, named_by: str, keys: Collection[str], several: Collection[str]) -> FileContents:
    """Read the file `path`, which the flag or variable `named_by` names. Only `keys` may stand in it, some as lists."""
    contents = FileContents(whole=False)
    try:
        with parse_file(path).open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        contents.mistakes.append(Mistake(named_by, f"{quoted(path)} cannot be read: {reason}", "config"))
        return contents
    if len(raw) > _LARGEST:
        contents.mistakes.append(Mistake(named_by, f"{quoted(path)} is larger than 1 MiB", "config"))
        return contents
    _Reader(path, keys, several, contents).read(raw)
    return contents


class _Reader:
    def __init__(self, path: str, keys: Collection[str], several: Collection[str], contents: FileContents) -> None:
        self._path = path
        self._keys = keys
        self._several = several
        self._contents = contents

    def read(self, raw: bytes) -> None:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = raw[: error.start].decode("utf-8", errors="replace")
            self._wrong(_after(before), "is not UTF-8 from here on; save the file as UTF-8")
            return
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._wrong((mark.line, mark.column) if mark else (0, 0), _yaml_problem(error))
            return
        except yaml.reader.ReaderError as error:
            self._wrong(_after(text[: error.position]), "is a character that YAML does not allow")
            return
        except RecursionError:
            self._wrong((0, 0), "is nested too deeply")
            return
        self._contents.whole = True
        if root is None or root.tag == _NULL:
            return
        if not isinstance(root, yaml.MappingNode):
            hint = ' (a space belongs after the ":")' if isinstance(root, yaml.ScalarNode) and ":" in root.value else ""
            self._wrong(_place(root), f'the file must hold lines of "key: value", not {_KINDS[type(root)]}{hint}')
            return
        self._read_root(root)

    def _read_root(self, root: yaml.MappingNode) -> None:
        seen: dict[str, yaml.Node] = {}
        for key_node, value in root.value:
            if key_node.tag == _MERGE:
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(_place(key_node), f"a key must be a word, not {_KINDS[type(key_node)]}")
                continue
            key = key_node.value
            if key in seen:
                line = seen[key].start_mark.line + 1
                self._wrong(_place(key_node), f"stands here a second time; the first is in line {line}", key)
                continue
            seen[key] = key_node
            self._take(key, key_node, value)
        for key_node, value in self._merged(root, set()):
            if isinstance(key_node, yaml.ScalarNode) and key_node.value not in seen:
                seen[key_node.value] = key_node
                self._take(key_node.value, key_node, value)

    def _merged(self, mapping: yaml.MappingNode, visited: set[int]) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """Pairs that `<<` brings in, nearer ones first. An anchor may hold itself: nothing is visited twice."""
        if len(visited) > _MOST_MERGES:
            self._wrong(_place(mapping), f"more than {_MOST_MERGES} mappings are merged with <<")
            return
        for key_node, value in mapping.value:
            if key_node.tag != _MERGE:
                continue
            for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(one, yaml.MappingNode):
                    self._wrong(_place(one), f"<< needs a mapping, not {_KINDS[type(one)]}")
                elif id(one) not in visited:
                    visited.add(id(one))
                    yield from (pair for pair in one.value if pair[0].tag != _MERGE)
                    yield from self._merged(one, visited)

    def _take(self, key: str, key_node: yaml.Node, value: yaml.Node) -> None:
        if key.startswith("x-"):  # a place for anchors, as in compose files
            return
        if key == "config":
            self._wrong(_place(key_node), "has no meaning in the file itself; use --config or FAILOVER_CONFIG", key)
            return
        if key not in self._keys:
            # `meant` keeps the key from being called missing as well.
            self._contents.meant.update(filter(None, [nearest(key, self._keys)]))
            self._wrong(_place(key_node), f"{quoted(key)} is not a setting{did_you_mean(key, self._keys)}")
            return
        nodes = value.value if isinstance(value, yaml.SequenceNode) and key in self._several else [value]
        found = tuple(filter(None, (self._scalar(key, node) for node in nodes)))
        if found:
            self._contents.found[key] = found

    def _scalar(self, key: str, node: yaml.Node) -> Found | None:
        """The text of a value; None where nothing is given there."""
        self._contents.meant.add(key)
        if not isinstance(node, yaml.ScalarNode):
            allowed = "one value or a list of them" if key in self._several else "a single value"
            self._wrong(_place(node), f"expected {allowed}, not {_KINDS[type(node)]}", key)
            return None
        if node.tag not in _PLAIN_TAGS:
            self._wrong(
                _place(node), "has a tag, which means nothing here; a value that begins with ! needs quotes", key
            )
            return None
        if node.tag == _NULL or not node.value.strip():
            self._contents.meant.discard(key)
            return None
        return Found(node.value, Source(SourceKind.FILE, self._where(_place(node))))

    def _where(self, place: tuple[int, int]) -> str:
        return f"{self._path}:{place[0] + 1}:{place[1] + 1}"

    def _wrong(self, place: tuple[int, int], what: str, key: str = "") -> None:
        self._contents.mistakes.append(Mistake(self._where(place), what, key, names_key=bool(key)))


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line, node.start_mark.column


def _after(text: str) -> tuple[int, int]:
    return text.count("\n"), len(text) - text.rfind("\n") - 1


def _yaml_problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "cannot be read"
    if "'\\t'" in problem:
        return "a tab cannot indent YAML; use spaces"
    if "mapping values are not allowed" in problem:
        return 'a second ": " in one line; put the value in quotes'
    if "expected a single document" in (error.context or ""):
        return "a second document begins here; the file must hold one"
    if "undefined alias" in problem:
        return "is not valid YAML: nothing has this name; a value that begins with * needs quotes"
    return f"is not valid YAML: {problem}"

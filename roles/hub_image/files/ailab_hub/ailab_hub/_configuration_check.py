# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process in which :mod:`ailab_hub.check_config` executes a configuration file.

``python -m ailab_hub._configuration_check FILE RESULT STARTED TIMEOUT`` writes the result to the
file descriptor RESULT. What the file itself prints goes nowhere.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import copy
import difflib
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from traitlets import HasTraits, TraitType
from traitlets.config import Config, Configurable
from traitlets.config.loader import LazyConfigValue, PyFileConfigLoader

from . import _explain, _light_import
from ._rehearsal import (
    CLASS_TRAITS,
    ENTRY_POINT_GROUPS,
    Authenticator,
    Failure,
    JupyterHub,
    Rehearsal,
)

# They open files, and their own types say all there is to say.
_NEVER_SET = {("JupyterHub", "logging_config"), ("JupyterHub", "extra_log_file")}

# They are judged before everything else.
_CLASS_OPTIONS = {("JupyterHub", trait) for trait in CLASS_TRAITS}

_ROLE_KEYS = ("name", "description", "scopes", "users", "services", "groups")

# More mistakes than this in one kind of entry are not told one by one.
_ROUNDS = 20


@dataclass(frozen=True)
class _Setting:
    """One option of the configuration and the trait it sets."""

    path: tuple[str, ...]
    name: str
    value: Any
    owner: type[Configurable]
    trait: TraitType[Any, Any]

    @property
    def section(self) -> str:
        return self.path[-1]

    @property
    def label(self) -> str:
        return f"{self.section}.{self.name}"


class ConfigurationCheck:
    """All that is wrong with one configuration file.

    Attributes:
        problems: what keeps JupyterHub from doing what the file says.
        warnings: options that are deprecated or have no effect.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.problems: list[dict[str, Any]] = []
        self.warnings: list[dict[str, Any]] = []
        self._lines: dict[tuple[str, str], int] = {}
        self._probes: dict[type[Configurable], HasTraits] = {}
        self._unresolved: set[type[Configurable]] = set()
        self._positions: dict[str, list[int]] = {}

    def report(self) -> dict[str, Any]:
        """Return the result in the form :mod:`ailab_hub.check_config` prints."""
        return {"problems": self.problems, "warnings": self.warnings}

    async def run(self) -> None:
        """Fill `problems` and `warnings`."""
        config = self._executed()
        if config is None:
            return
        self._lines = _lines(self.file)
        clean = copy.deepcopy(config)
        chosen = self._chosen_classes(clean)
        await self._make_probes(chosen)
        settings = list(self._known(config, clean, chosen))
        for setting in settings:
            self._note_deprecation(setting)
        usable = [setting for setting in settings if self._has_right_type(setting, clean)]
        self._try_values(usable, clean)
        self._check_entries(clean)
        await self._rehearse(clean)

    # -- the file ----------------------------------------------------------------------------

    def _executed(self) -> Config | None:
        """The configuration of the file, read exactly as JupyterHub reads it."""
        loader = PyFileConfigLoader(self.file.name, str(self.file.parent))
        try:
            return loader.load_config()
        except BaseException as error:
            self.problem("", "", _explain.of_execution(error), _line_of(error, self.file))
            return None

    # -- classes and names -------------------------------------------------------------------

    def _chosen_classes(self, clean: Config) -> dict[str, type[Configurable]]:
        """The authenticator, spawner and proxy class, by the trait that names them."""
        app = JupyterHub(classes=[JupyterHub])
        chosen: dict[str, type[Configurable]] = {}
        section = clean.get("JupyterHub", {})
        for name, base in CLASS_TRAITS.items():
            chosen[name] = getattr(app, name)
            value = section.get(name)
            if value is None or isinstance(value, LazyConfigValue):
                # never set, at most asked for
                section.pop(name, None)
                continue
            try:
                setattr(app, name, value)
                # found once, it is not looked for again
                chosen[name] = section[name] = getattr(app, name)
            except BaseException as error:
                self.problem("JupyterHub", name, _class_message(name, base, value, error))
                self._unresolved.add(base)
                del section[name]
        return chosen

    def _known(
        self, config: Config, clean: Config, chosen: dict[str, type[Configurable]]
    ) -> Iterator[_Setting]:
        """Every option JupyterHub knows; each other is a problem and leaves `clean`."""
        used = [JupyterHub, *chosen.values(), *Rehearsal.other_classes()]
        for path, section in _sections(config):
            name = path[-1]
            owners = [owner for owner in used if name in owner.section_names()]
            if not owners:
                owners = _classes_named(name)
                if not owners:
                    self._unknown_class(name)
                    _remove(clean, path)
                    continue
                self._note_unused(name, owners, chosen)
            for trait_name, value in section.items():
                if isinstance(value, Config) or (name, trait_name) in _CLASS_OPTIONS:
                    continue
                owner = next((one for one in owners if _option(one, trait_name)), None)
                if owner is not None:
                    trait = owner.class_traits(config=True)[trait_name]
                    yield _Setting(path, trait_name, value, owner, trait)
                    continue
                _remove(clean, (*path, trait_name))
                if not self._may_belong_to_an_unresolved_class(name):
                    self._unknown_trait(name, trait_name, owners)
        for key, value in config.items():
            if not isinstance(value, Config):
                self._unknown_class(key)
                del clean[key]

    def _may_belong_to_an_unresolved_class(self, section: str) -> bool:
        return any(section in base.section_names() for base in self._unresolved)

    def _unknown_class(self, name: str) -> None:
        _load_entry_points()
        message = f"{name} is no class of JupyterHub or of its installed parts"
        nearest = _nearest(name, _all_classes())
        self.problem(name, "", message + _did_you_mean(nearest))

    def _unknown_trait(self, section: str, name: str, owners: list[type[Configurable]]) -> None:
        options = {option for owner in owners for option in owner.class_traits(config=True)}
        nearest = _nearest(name, options)
        self.problem(section, name, f"{section} has no option {name}{_did_you_mean(nearest)}")

    def _note_unused(
        self, name: str, owners: list[type[Configurable]], chosen: dict[str, type[Configurable]]
    ) -> None:
        for trait, base in CLASS_TRAITS.items():
            if base not in self._unresolved and any(issubclass(one, base) for one in owners):
                used = chosen[trait].__name__
                self._warning(name, "", f"{name} has no effect: JupyterHub.{trait} is {used}")
                return

    def _note_deprecation(self, setting: _Setting) -> None:
        if _explain.is_deprecated(setting.trait):
            advice = _explain.advice(setting.trait)
            self._warning(setting.section, setting.name, f"{setting.label}: {advice}")

    # -- values ------------------------------------------------------------------------------

    async def _make_probes(self, chosen: dict[str, type[Configurable]]) -> None:
        """Objects to try values on, made by JupyterHub from its defaults."""
        classes = Config(JupyterHub={name: chosen[name] for name in CLASS_TRAITS})
        rehearsal = Rehearsal(classes)
        # a class that cannot be made from defaults is judged by the types of its traits, and as a
        # whole with the real configuration
        await rehearsal.run()
        self._probes = rehearsal.objects

    def _has_right_type(self, setting: _Setting, clean: Config) -> bool:
        message = self._type_message(setting)
        if message is None:
            return True
        self.problem(setting.section, setting.name, message)
        _remove(clean, (*setting.path, setting.name))
        return False

    def _type_message(self, setting: _Setting) -> str | None:
        value = setting.value
        if isinstance(value, LazyConfigValue):
            initial = self._initial(setting)
            lost = _lost_changes(value, initial)
            if lost:
                return f"{setting.label}: {lost} has no effect on {_explain.kind(initial)}"
            value = copy.deepcopy(value).get_value(initial)
            if value is initial or value == initial:
                return None
        return _explain.of_type(setting.label, setting.trait, value)

    def _initial(self, setting: _Setting) -> Any:
        probe = self._probe(setting)
        if probe is not None:
            return getattr(probe, setting.name)
        default = setting.trait.default_value
        return default if default is not None else setting.trait.default()

    def _probe(self, setting: _Setting) -> HasTraits | None:
        for kind, probe in self._probes.items():
            if issubclass(kind, setting.owner) or issubclass(setting.owner, kind):
                return probe
        return None

    def _try_values(self, settings: list[_Setting], clean: Config) -> None:
        """Set each value on an object of the class that uses it, with JupyterHub's own checks."""
        tried = [
            (setting, probe)
            for setting in settings
            if (probe := self._probe(setting)) is not None
            and probe.has_trait(setting.name)
            and (setting.section, setting.name) not in _NEVER_SET
        ]
        # JupyterHub checks values once all are set, because some depend on others
        for final in (False, True):
            for setting, probe in tried:
                try:
                    setattr(probe, setting.name, self._value(setting, probe))
                except BaseException as error:
                    if final:
                        self._refused(setting, error, clean)

    def _value(self, setting: _Setting, probe: HasTraits) -> Any:
        value = copy.deepcopy(setting.value)
        if isinstance(value, LazyConfigValue):
            return value.get_value(getattr(probe, setting.name))
        return value

    def _refused(self, setting: _Setting, error: BaseException, clean: Config) -> None:
        if callable(setting.value) and not isinstance(error, TypeError | SystemExit):
            self._warning(
                setting.section,
                setting.name,
                f"{setting.label}: its function fails for an unknown user "
                f"({_explain.of_exception(error)})",
            )
        else:
            message = _explain.of_refusal(setting.label, setting.trait, error)
            self.problem(setting.section, setting.name, message)
        _remove(clean, (*setting.path, setting.name))

    # -- roles and services ------------------------------------------------------------------

    def _check_entries(self, clean: Config) -> None:
        """Tell mistakes in roles and services that JupyterHub ignores or names only by value."""
        section = clean.get("JupyterHub", {})
        for trait, check in (("load_roles", _role_mistakes), ("services", _service_mistakes)):
            entries = section.get(trait)
            if isinstance(entries, LazyConfigValue):
                entries = copy.deepcopy(entries).get_value([])
            if not isinstance(entries, list):
                continue
            sound = {}
            for position, entry in enumerate(entries, start=1):
                mistakes = list(check(entry, clean))
                for mistake in mistakes:
                    self.problem(
                        "JupyterHub", trait, f"JupyterHub.{trait}: entry {position} {mistake}"
                    )
                if not mistakes:
                    sound[position] = entry
            section[trait] = list(sound.values())
            self._positions[trait] = list(sound)

    # -- starting ----------------------------------------------------------------------------

    async def _rehearse(self, clean: Config) -> None:
        """Let JupyterHub start in memory, again without what failed, until nothing fails."""
        for section, trait in _NEVER_SET:
            _remove(clean, (section, trait))
        for _attempt in range(_ROUNDS):
            rehearsal = Rehearsal(clean)
            failure = await rehearsal.run()
            if failure is None:
                if Authenticator not in self._unresolved:
                    for warning in rehearsal.warnings():
                        self._warning(*warning)
                return
            if entries := rehearsal.entries(failure):
                await self._blame_entries(clean, failure, entries)
                continue
            said = _explain.of_exception(failure.error)
            self.problem(failure.section, failure.trait, f"{failure.label}: {said}")
            if not failure.leave_out(clean):
                return

    async def _blame_entries(self, clean: Config, failure: Failure, entries: list[Any]) -> None:
        """Find the entries of a list or dict with which a step fails, and take them out."""
        positions = self._positions.get(failure.trait) or list(range(1, len(entries) + 1))
        good: dict[int, Any] = {}
        culprits = 0
        for position, entry in zip(positions, entries, strict=True):
            config = copy.deepcopy(clean)
            config.JupyterHub[failure.trait] = entry
            alone = await Rehearsal(config).run()
            if alone is None or alone.step != failure.step:
                good[position] = entry
                continue
            culprits += 1
            said = _explain.of_exception(alone.error)
            message = f"{failure.label}: entry {position}: {said}"
            self.problem(failure.section, failure.trait, message)
        if not culprits:
            # only together do they fail
            said = _explain.of_exception(failure.error)
            self.problem(failure.section, failure.trait, f"{failure.label}: {said}")
            good.clear()
        self._positions[failure.trait] = list(good)
        clean.JupyterHub[failure.trait] = Rehearsal.joined(entries, list(good.values()))

    # -- results -----------------------------------------------------------------------------

    def problem(self, section: str, trait: str, message: str, line: int | None = None) -> None:
        """Note a problem, once."""
        entry = self._entry(section, trait, message, line)
        if entry not in self.problems:
            self.problems.append(entry)

    def _warning(self, section: str, trait: str, message: str) -> None:
        self.warnings.append(self._entry(section, trait, message, None))

    def _entry(self, section: str, trait: str, message: str, line: int | None) -> dict[str, Any]:
        line = line or self._lines.get((section, trait))
        entry: dict[str, Any] = {"class": section, "trait": trait}
        if line is not None:
            entry["line"] = line
        return {**entry, "message": message}


# -- names -------------------------------------------------------------------------------------


def _sections(
    config: Config, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Config]]:
    """Every section that sets something, also those inside others."""
    for name, value in config.items():
        if isinstance(value, Config):
            if any(not isinstance(item, Config) for item in value.values()):
                yield (*above, name), value
            yield from _sections(value, (*above, name))


def _remove(config: Config, path: tuple[str, ...]) -> None:
    for name in path[:-1]:
        if name not in config:
            return
        config = config[name]
    config.pop(path[-1], None)


def _option(owner: type[Configurable], name: str) -> bool:
    return name in owner.class_traits(config=True)


def _classes_named(name: str) -> list[type[Configurable]]:
    if name not in _all_classes():
        _load_entry_points()
    return _all_classes().get(name, [])


def _all_classes() -> dict[str, list[type[Configurable]]]:
    """Every class that is loaded and can be configured, by name."""
    classes: dict[str, list[type[Configurable]]] = {}
    waiting: list[type[Configurable]] = [Configurable]
    seen: set[type[Configurable]] = set()
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            classes.setdefault(one.__name__, []).append(one)
            waiting += one.__subclasses__()
    return classes


def _load_entry_points() -> None:
    """Import every installed authenticator, spawner and proxy."""
    for group in ENTRY_POINT_GROUPS.values():
        for entry_point in entry_points(group=group):
            # a part that cannot be imported here cannot be configured either
            with contextlib.suppress(Exception):
                entry_point.load()


def _class_message(trait: str, base: type, value: Any, error: BaseException) -> str:
    label = f"JupyterHub.{trait}"
    names = sorted({entry.name for entry in entry_points(group=ENTRY_POINT_GROUPS[trait])})
    installed = f"installed are {', '.join(names)}"
    if not isinstance(value, str):
        return f"{label}: expected a class below {base.__name__}, found {_explain.kind(value)}"
    if "." in value:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ImportError):
            cause = cause.__cause__ or cause.__context__
        why = f"cannot be imported ({cause})" if cause else f"is no class below {base.__name__}"
        return f"{label}: {why}; {installed}"
    nearest = _did_you_mean(_nearest(value, names))
    return f"{label}: there is none of this name; {installed}{nearest}"


def _nearest(name: str, known: Iterable[str]) -> str | None:
    """The name meant by `name`, first without regard to case and underscores."""
    plain = {candidate.lower().replace("_", ""): candidate for candidate in sorted(known)}
    found = difflib.get_close_matches(name.lower().replace("_", ""), plain, n=1, cutoff=0.7)
    return plain[found[0]] if found else None


def _did_you_mean(nearest: str | None) -> str:
    return f"; did you mean {nearest}?" if nearest else ""


# -- values ------------------------------------------------------------------------------------


def _lost_changes(lazy: LazyConfigValue, initial: Any) -> str:
    """Which changes of a container get lost, because its type does not know them."""
    on_list = bool(lazy._extend or lazy._prepend or lazy._inserts)
    on_other = lazy._update is not None
    if on_list and not isinstance(initial, list):
        return "append, extend, prepend or insert"
    if on_other and not isinstance(initial, dict | set):
        return "update or add"
    if isinstance(lazy._update, set) and isinstance(initial, dict):
        return "update with a set, or add,"
    return ""


def _role_mistakes(role: dict[str, Any], clean: Config) -> Iterator[str]:
    known_scopes = Rehearsal.known_scopes() | set(
        clean.get("JupyterHub", {}).get("custom_scopes") or {}
    )
    for key in role:
        if key not in _ROLE_KEYS:
            nearest = _did_you_mean(_nearest(str(key), _ROLE_KEYS))
            yield f"has a key that is none of {', '.join(_ROLE_KEYS)}{nearest}"
    for key in ("scopes", "users", "services", "groups"):
        members = role.get(key, [])
        if not isinstance(members, list | tuple | set) or not all(
            isinstance(member, str) for member in members
        ):
            yield f"needs a list of strings as {key}"
        elif key == "scopes":
            for position, scope in enumerate(members, start=1):
                name = scope.partition("!")[0]
                if name not in known_scopes:
                    nearest = _did_you_mean(_nearest(name, known_scopes))
                    yield f"names as scope {position} one that does not exist{nearest}"


def _service_mistakes(service: dict[str, Any], _config: Config) -> Iterator[str]:
    fields = Rehearsal.service_fields()
    if "name" not in service:
        yield "has no name"
    for key, value in service.items():
        if key not in fields:
            nearest = _did_you_mean(_nearest(str(key), fields))
            yield f"has a field that is none of {', '.join(sorted(fields))}{nearest}"
        elif message := _explain.of_type(f"is wrong in {key}", fields[key], value):
            yield message


# -- places ------------------------------------------------------------------------------------


def _lines(file: Path) -> dict[tuple[str, str], int]:
    """The last line of the file that mentions a class, or an option of one."""
    lines: dict[tuple[str, str], int] = {}
    for node in ast.walk(ast.parse(file.read_bytes())):
        names = _names(node)
        for length in (1, 2):
            if len(names) >= length:
                key = (names[0], names[1] if length == 2 else "")
                lines[key] = max(lines.get(key, 0), getattr(node, "lineno", 0))
    return lines


def _names(node: ast.AST) -> list[str]:
    """``["Class", "trait"]`` for ``c.Class.trait`` in any of its spellings."""
    if isinstance(node, ast.Attribute):
        name: Any = node.attr
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        name = node.slice.value
    else:
        return []
    if isinstance(node.value, ast.Name):
        return [name] if node.value.id == "c" and isinstance(name, str) else []
    names = _names(node.value)
    return [*names, name] if names and isinstance(name, str) else []


def _line_of(error: BaseException, file: Path) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno
    line = None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(file):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


# -- the process -------------------------------------------------------------------------------


def main(file: str, result: str, started: str, timeout: str) -> NoReturn:
    """Check `file`, write the report to the descriptor `result` and end the process.

    The time of `timeout` seconds begins when the descriptor `started` is closed.
    """
    descriptor, process = int(result), os.getpid()
    # neither a program the file starts nor the caller's folder takes part
    os.set_inheritable(descriptor, False)
    sys.path[:] = [entry for entry in sys.path if entry not in ("", str(Path.cwd()))]
    sys.argv = ["jupyterhub"]
    _light_import.undo()
    check = ConfigurationCheck(Path(file).absolute())

    def finish() -> NoReturn:
        # a copy of this process that the file made has nothing to say
        if os.getpid() == process:
            content = json.dumps(check.report()).encode()
            os.pwrite(descriptor, content, 0)
            os.ftruncate(descriptor, len(content))
        os._exit(0)

    def time_is_over(_signal: int, frame: FrameType | None) -> None:
        line = None
        while frame is not None:
            if frame.f_code.co_filename == str(check.file):
                line = line or frame.f_lineno
            frame = frame.f_back
        check.problem("", "", f"not finished after {float(timeout):g} seconds", line)
        finish()

    signal.signal(signal.SIGALRM, time_is_over)
    signal.setitimer(signal.ITIMER_REAL, float(timeout))
    os.close(int(started))
    try:
        asyncio.run(check.run())
    except BaseException as error:
        check.problem("", "", f"the check itself failed: {_explain.of_exception(error)}")
    finish()


if __name__ == "__main__":
    main(*sys.argv[1:])

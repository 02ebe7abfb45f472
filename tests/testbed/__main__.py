# Copyright: ailab.hub contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real hosts, stand-in images and a local registry for the demo and the tests."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import bases, demo, engine, hosts, shared
from .system import TestbedError, lock

Arguments = argparse.Namespace


def engine_up(_: Arguments) -> None:
    """have an engine, and print how to reach it"""
    print(f"export DOCKER_HOST={engine.up().address or ''}")


def engine_down(_: Arguments) -> None:
    """stop a private engine that no host uses"""
    shared.release()


def bases_up(arguments: Arguments) -> None:
    """have the images built, and the stand-ins published in the registry"""
    bases.up(engine.up(), arguments.suite, arguments.jupyterhub)


def host_up(arguments: Arguments) -> None:
    """make a host or start it again; what it needs is made first"""
    running = engine.up()
    store = bases.up(running, arguments.suite) if arguments.bases == "stand-in" else None
    host = hosts.Host(running, arguments.instance, arguments.name)
    host.up(arguments.suite, store, arguments.source)


def host_save(arguments: Arguments) -> None:
    """keep a host as a snapshot; it is powered off meanwhile"""
    hosts.Host(engine.up(), arguments.instance, arguments.name).save(arguments.snapshot)


def host_down(arguments: Arguments) -> None:
    """remove one host"""
    hosts.down(engine.up(), arguments.instance, arguments.name)


def snapshot_list(_: Arguments) -> None:
    """list the snapshots hosts can start from"""
    print(*hosts.snapshots(engine.up()), sep="\n")


def snapshot_remove(arguments: Arguments) -> None:
    """remove a snapshot; hosts made from it stay"""
    hosts.remove_snapshot(engine.up(), arguments.snapshot)


def inventory(arguments: Arguments) -> None:
    """write an Ansible inventory of an instance"""
    text = hosts.inventory(engine.up(), arguments.instance)
    if arguments.output:
        arguments.output.write_text(text)
    else:
        print(text, end="")


def down(arguments: Arguments) -> None:
    """remove an instance, then registry and private engine if no host is left"""
    if running := engine.running():
        hosts.down(running, arguments.instance)
    shared.release()


def demo_up(arguments: Arguments) -> None:
    """deploy the demo, on its host if there is one"""
    demo.up(arguments.suite, official=arguments.bases == "official")


def demo_down(_: Arguments) -> None:
    """remove all that the demo made"""
    demo.down()


def purge(_: Arguments) -> None:
    """remove images, snapshots, registry and cache"""
    shared.purge()


def base_kind(text: str) -> str:
    """Check what --bases or BASES says; the parser checks no choices of a default."""
    if text not in ("stand-in", "official"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither stand-in nor official")
    return text


COMMANDS = {
    "engine up": (engine_up, []),
    "engine down": (engine_down, []),
    "bases up": (bases_up, ["--suite", "--jupyterhub"]),
    "host up": (host_up, ["name", "--instance", "--suite", "--bases", "--from"]),
    "host save": (host_save, ["name", "snapshot", "--instance"]),
    "host down": (host_down, ["name", "--instance"]),
    "snapshot list": (snapshot_list, []),
    "snapshot remove": (snapshot_remove, ["snapshot"]),
    "inventory": (inventory, ["--instance", "--output"]),
    "down": (down, ["--instance"]),
    "demo up": (demo_up, ["--suite", "--bases"]),
    "demo down": (demo_down, []),
    "purge": (purge, []),
}
REMOVERS = (engine_down, down, demo_down, purge)
OPTIONS = {
    "name": {"metavar": "NAME", "help": "the host"},
    "snapshot": {"metavar": "SNAPSHOT", "help": "a saved host"},
    "--instance": {"required": True, "help": "name of hosts that are removed together"},
    "--suite": {
        "default": os.environ.get("SUITE") or "bookworm",
        "help": "Debian of the hosts (default: SUITE, else bookworm)",
    },
    "--bases": {
        "type": base_kind,
        "metavar": "stand-in|official",
        "default": os.environ.get("BASES") or "stand-in",
        "help": "where base images come from (default: BASES, else stand-in)",
    },
    "--jupyterhub": {
        "nargs": "+",
        "metavar": "VERSION",
        "default": [bases.JUPYTERHUB],
        "help": "versions of JupyterHub to have a base for",
    },
    "--from": {"dest": "source", "metavar": "SNAPSHOT", "help": "start from a saved host"},
    "--output": {"type": Path, "metavar": "FILE", "help": "default: standard output"},
}


def parse() -> Arguments:
    """The command line, with the function it asks for as ``run``."""
    parser = argparse.ArgumentParser(prog="python -m tests.testbed", description=__doc__)
    levels = {"": parser.add_subparsers(required=True, metavar="COMMAND")}
    for words, (function, options) in COMMANDS.items():
        group, _, name = words.rpartition(" ")
        if group not in levels:
            above = levels[""].add_parser(group, help=f"{group} ... (see {group} --help)")
            levels[group] = above.add_subparsers(required=True, metavar="COMMAND")
        command = levels[group].add_parser(
            name, help=function.__doc__, description=function.__doc__
        )
        command.set_defaults(run=function)
        for option in options:
            command.add_argument(option, **OPTIONS[option])  # type: ignore[arg-type]
    return parser.parse_args()


def main() -> int:
    """Run one command. Returns its exit status: 1 after a line that says what is wrong."""
    arguments = parse()
    try:
        if arguments.run in REMOVERS:
            arguments.run(arguments)
        else:
            # What all share is removed only while nobody holds this lock.
            with lock("busy", shared=True):
                arguments.run(arguments)
    except (TestbedError, OSError) as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Brings the source of a package here: by its name, through the ordinary client of its registry."""

import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

from .model import Source
from .shell import Failed, must, output, run

Obtain = Callable[[Path], Source]
STAMP = "source.json"


def cached(fetch: Callable[[Path], tuple[str, Path]]) -> Obtain:
    """Fetches once: what is in the cache folder is taken from there."""

    def obtain(work: Path) -> Source:
        stamp = work / STAMP
        if stamp.exists():
            known = json.loads(stamp.read_text())
            return Source(known["version"], work / known["folder"], work)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        version, folder = fetch(work)
        stamp.write_text(json.dumps({"version": version, "folder": str(folder.relative_to(work))}))
        return Source(version, folder, work)

    return obtain


def log(work: Path) -> Path:
    return work / "logs" / "obtain.txt"


def crate(name: str, version: str = "*") -> Obtain:
    """A crate as it was published, with cargo."""

    def fetch(work: Path) -> tuple[str, Path]:
        probe = work / "probe"
        (probe / "src").mkdir(parents=True)
        (probe / "src" / "lib.rs").touch()
        (probe / "Cargo.toml").write_text(
            f'[package]\nname = "probe"\nversion = "0.0.0"\nedition = "2021"\n\n'
            f'[dependencies]\n{name} = "{version}"\n\n[workspace]\n'
        )
        must(f"cargo fetch {name}", ["cargo", "fetch"], probe, log(work))
        metadata = json.loads(output(["cargo", "metadata", "--format-version", "1", "--offline"], probe))
        found = next(package for package in metadata["packages"] if package["name"] == name)
        folder = work / f"{name}-{found['version']}"
        shutil.copytree(Path(found["manifest_path"]).parent, folder)
        # It lies inside another workspace, and is none of it.
        with (folder / "Cargo.toml").open("a") as manifest:
            manifest.write("\n[workspace]\n")
        return found["version"], folder

    return cached(fetch)


def sdist(name: str, version: str = "") -> Obtain:
    """A Python source distribution, with pip."""

    def fetch(work: Path) -> tuple[str, Path]:
        wanted = f"{name}=={version}" if version else name
        command = ["pip", "download", "--no-deps", "--no-binary", name, "--dest", work, wanted]
        must(f"pip download {name}", command, work, log(work))
        return unpack(work, name)

    return cached(fetch)


def npm(name: str, version: str = "latest") -> Obtain:
    """An npm package, with npm."""

    def fetch(work: Path) -> tuple[str, Path]:
        must(f"npm pack {name}", ["npm", "pack", f"{name}@{version}"], work, log(work))
        _, folder = unpack(work, name)
        return json.loads((folder / "package.json").read_text())["version"], folder

    return cached(fetch)


def debian(name: str, newest: bool = True) -> Obtain:
    """The original source of a Debian package, with apt: Debian 13's, or this machine's own release."""

    def fetch(work: Path) -> tuple[str, Path]:
        mirror, own = release()
        for codename in ["trixie", own] if newest else [own]:
            command = ["apt-get", *sources(work, mirror, codename), "source", "--tar-only", name]
            # A package may have further archives, and a mirror may lack them; the client is in this one.
            run(f"apt-get source {name}", command, work, log(work))
            if list(work.glob("*.orig.tar.*")):
                return unpack(work, name)
        raise Failed(f"apt-get source {name} found nothing (log: {log(work)})")

    return cached(fetch)


def release() -> tuple[str, str]:
    """The Debian mirror that this machine's own apt sources name, and the release they name."""
    told = output(["apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(LABEL)", "Created-By: Packages"])
    for line in told.splitlines():
        mirror, codename, label = line.split(" ", 2)
        if label == "Debian" and "-" not in codename:
            return mirror, codename
    raise Failed("apt knows no Debian mirror: this needs a Debian that ran 'apt-get update'")


def sources(work: Path, mirror: str, codename: str) -> list[str]:
    """Options for apt that show it the sources of a release, and leave what the machine knows alone."""
    apt = work.parent / "apt" / codename
    (apt / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (apt / "sources.list").write_text(f"deb-src {mirror} {codename} main\n")
    options = [
        f"-oDir::Etc::SourceList={apt / 'sources.list'}",
        "-oDir::Etc::SourceParts=-",
        f"-oDir::State::Lists={apt / 'lists'}",
        f"-oAPT::Sandbox::User={os.environ.get('USER', 'root')}",
    ]
    if not list((apt / "lists").glob("*Sources*")):
        must(f"apt-get update for {codename}", ["apt-get", *options, "update"], work, log(work))
    return options


def unpack(work: Path, name: str) -> tuple[str, Path]:
    """Unpacks the one archive in the folder."""
    archive = next(path for path in work.iterdir() if ".tar" in path.name or path.suffix == ".tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(work / "source", filter="data")
    folder = next(path for path in (work / "source").iterdir() if path.is_dir())
    version = re.search(r"[-_](\d[\w.~]*?)(?:\.orig)?\.t(?:ar|gz)", archive.name)
    if not version:
        raise Failed(f"{name}: no version in the name {archive.name}")
    return version[1], folder


def packages(*names: str) -> None:
    """Installs Debian packages where they are missing."""
    missing = [name for name in names if "ok installed" not in output(["dpkg-query", "-W", "-f=${Status}", name])]
    if missing:
        as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        install = ["apt-get", "-oDPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends", *missing]
        must(f"apt-get install {' '.join(missing)}", [*as_root, *install], Path("/"), Path("/dev/null"))

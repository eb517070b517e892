//! Unpacks a package of Debian's unstable release, from the mirror and by the keys that this machine uses already.
//!
//! Nothing is installed: apt works in folders of its own, so it needs no root and leaves the system as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::checkout;
use crate::process::{command, output, require};

/// Debian's name for the release that has everything in its newest version.
const UNSTABLE: &str = "sid";

/// An entry of apt's sources, with the unstable release in place of the one that it names.
#[derive(Debug, PartialEq)]
struct Source {
    text: String,
    /// Which of its two ways to write a source apt is to expect: `list` or `sources`.
    extension: &'static str,
}

/// Brings the content of a package to a folder, which is replaced.
pub(super) fn unpack(package: &str, folder: &Path) -> Result<()> {
    for program in ["apt-get", "dpkg-deb"] {
        require(program, "only Debian and its kin have it")?;
    }
    let sources = sources();
    if sources.is_empty() {
        bail!("apt knows no mirror of Debian");
    }
    let work = checkout::tools().join("apt");
    let mut result = Ok(());
    for source in &sources {
        result = unpack_from(source, package, &work, folder);
        if result.is_ok() {
            break;
        }
    }
    fs::remove_dir_all(&work).context("target/tools/apt cannot be removed")?;
    result
}

fn unpack_from(source: &Source, package: &str, work: &Path, folder: &Path) -> Result<()> {
    for path in [work, folder] {
        if path.exists() {
            fs::remove_dir_all(path).with_context(|| format!("{} cannot be removed", path.display()))?;
        }
    }
    let settings = prepare(source, work).context("target/tools cannot be written")?;
    output(apt_get(&settings, work).arg("update"))?;
    output(apt_get(&settings, work).args(["download", package]))?;
    let archive = files(work, "deb").pop().with_context(|| format!("apt-get brought no {package}"))?;
    // Beside its place first: a folder that is there is whole.
    let unpacked = work.join("unpacked");
    output(command("dpkg-deb").arg("--extract").arg(archive).arg(&unpacked))?;
    fs::rename(unpacked, folder).with_context(|| format!("{} cannot be made", folder.display()))
}

fn apt_get(settings: &Path, work: &Path) -> Command {
    let mut apt_get = command("apt-get");
    apt_get.arg("--quiet").arg("--config-file").arg(settings).current_dir(work);
    apt_get
}

/// Makes the folders that apt works in, and the settings that it reads after those of the machine.
fn prepare(source: &Source, work: &Path) -> std::io::Result<PathBuf> {
    for folder in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(work.join(folder))?;
    }
    // What is installed plays no part: else an installed package would pass for the newest there is.
    let status = work.join("state/status");
    fs::write(&status, "")?;
    let list = work.join("source").with_extension(source.extension);
    fs::write(&list, &source.text)?;
    let settings = work.join("apt.conf");
    let text = format!(
        r#"Dir::Etc::sourcelist "{list}";
Dir::Etc::sourceparts "/dev/null";
Dir::State "{work}/state";
Dir::State::status "{status}";
Dir::Cache "{work}/cache";
// The account that apt would change to may not be able to look into the checkout.
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
// The packages alone, and nothing that the machine does after an update of its own.
Acquire::Languages "none";
#clear Acquire::IndexTargets::deb::DEP-11;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"#,
        list = list.display(),
        work = work.display(),
        status = status.display(),
    );
    fs::write(&settings, text)?;
    Ok(settings)
}

/// Everything in apt's sources that may be a mirror of Debian.
fn sources() -> Vec<Source> {
    let parts = Path::new("/etc/apt/sources.list.d");
    let mut lists = vec![PathBuf::from("/etc/apt/sources.list")];
    lists.extend(files(parts, "list"));
    let read = |path: PathBuf| fs::read_to_string(path).ok();
    let mut sources: Vec<Source> = lists.into_iter().filter_map(read).flat_map(|text| of_lines(&text)).collect();
    sources.extend(files(parts, "sources").into_iter().filter_map(read).flat_map(|text| of_stanzas(&text)));
    sources
}

/// The files of a folder whose names end like this, in the order of their names.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let paths = entries.map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    paths.sort();
    paths
}

/// `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main contrib`
fn of_lines(text: &str) -> Vec<Source> {
    text.lines().filter_map(of_line).collect()
}

fn of_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t']))?.trim_start();
    let (options, place) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = place.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    if !is_release(suite) || !words.any(|component| component == "main") {
        return None;
    }
    Some(Source { text: format!("deb [{options}] {uri} {UNSTABLE} main\n"), extension: "list" })
}

/// Stanzas of `Types: deb`, `URIs: …`, `Suites: bookworm bookworm-updates`, `Components: main` and more.
fn of_stanzas(text: &str) -> Vec<Source> {
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    text.split(|line| line.trim().is_empty()).filter_map(of_stanza).collect()
}

fn of_stanza(lines: &[&str]) -> Option<Source> {
    // A line that begins with a space goes on with the field before it.
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            let (_, value) = fields.last_mut()?;
            value.push('\n');
            value.push_str(line);
        } else {
            let (name, value) = line.split_once(':')?;
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let mut of_ours = String::new();
    let (mut binary, mut release, mut main) = (false, false, false);
    for (name, value) in &fields {
        let mut words = value.split_whitespace();
        match name.as_str() {
            "types" => binary = words.any(|word| word == "deb"),
            "suites" => release = words.any(is_release),
            "components" => main = words.any(|word| word == "main"),
            "enabled" if ["no", "false", "off"].contains(&value.as_str()) => return None,
            _ => of_ours.push_str(&format!("{name}: {value}\n")),
        }
    }
    let text = format!("types: deb\nsuites: {UNSTABLE}\ncomponents: main\n{of_ours}");
    (binary && release && main).then_some(Source { text, extension: "sources" })
}

/// Whether a suite is a release itself: no security updates (`bookworm-security`), no folder (`./`).
fn is_release(suite: &str) -> bool {
    !suite.contains(['-', '/'])
}

#[cfg(test)]
mod tests {
    use super::{of_lines, of_stanzas};

    #[test]
    fn a_line_keeps_its_mirror_and_its_options() {
        let text = "# deb http://off.example/debian bookworm main\n\
            deb-src http://mirror.example/debian bookworm main\n\
            deb [ arch=amd64 signed-by=/keys.gpg ] http://mirror.example/debian bookworm main contrib # ours\n\
            deb http://plain.example/debian\tstable main\n\
            deb http://mirror.example/debian-security bookworm-security main\n\
            deb http://docker.example/linux/debian bookworm stable\n\
            deb http://folder.example/ ./\n";
        let texts: Vec<String> = of_lines(text).into_iter().map(|source| source.text).collect();
        let expected = [
            "deb [ arch=amd64 signed-by=/keys.gpg ] http://mirror.example/debian sid main\n",
            "deb [] http://plain.example/debian sid main\n",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_stanza_keeps_its_mirror_and_its_keys() {
        let text = "# of the image\nTypes: deb deb-src\n# http://snapshot.example\nURIs: http://mirror.example/debian\n\
            Suites: bookworm\n bookworm-updates\nComponents: main contrib\nSigned-By:\n BEGIN\n .\n END\n\n\n\
            Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n";
        let texts: Vec<String> = of_stanzas(text).into_iter().map(|source| source.text).collect();
        let expected = "types: deb\nsuites: sid\ncomponents: main\nuris: http://mirror.example/debian\n\
            signed-by: \n BEGIN\n .\n END\n";
        assert_eq!(texts, [expected]);
    }

    #[test]
    fn a_stanza_that_is_switched_off_is_no_source() {
        let text = "Enabled: no\nTypes: deb\nURIs: http://mirror.example/debian\nSuites: sid\nComponents: main\n";
        assert_eq!(of_stanzas(text), []);
    }
}

//! Configuration: typed, merged from files and environment, refused as a whole when one value is wrong.
//!
//! Later sources win: defaults, each `--config` file in turn, then variables named `MANDATE__SECTION__KEY`. Secrets are never
//! values, only paths of files, so the merged result can be printed as it is. This is the only place that reads the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::telemetry;

mod fault_injection;
mod process;
mod seconds;

pub use fault_injection::FaultInjection;
pub use process::{Common, Limits, Tls};
pub use seconds::Seconds;

/// What variables begin with that carry configuration.
pub const ENVIRONMENT_PREFIX: &str = "MANDATE__";

/// A configuration of a process.
pub trait Settings: DeserializeOwned + Serialize + Send + 'static {
    /// Checks what types alone cannot say: ranges, and values that must fit each other.
    ///
    /// # Errors
    /// The first value that cannot be used.
    fn check(&self) -> Result<(), Fault>;

    /// What the process tells of itself.
    fn telemetry(&self) -> &telemetry::Settings;

    /// The cloud that the process serves; empty for one that serves several.
    fn cloud(&self) -> &str;

    /// How long calls in flight have to end when the process does.
    fn drain(&self) -> std::time::Duration;

    /// What the process is told to suffer.
    fn fault_injection(&self) -> &FaultInjection;
}

/// A value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its key with the tables it stands in: `process.limits.drain_seconds`.
    pub key: String,
    /// What is wrong with it, and what would be accepted: `0 is out of range; expected 1 to 60`.
    pub problem: String,
}

impl Fault {
    /// A value that cannot be used.
    #[must_use]
    pub fn new(key: &str, problem: impl Into<String>) -> Fault {
        Fault { key: key.to_owned(), problem: problem.into() }
    }

    /// The same fault, seen from the table around it.
    #[must_use]
    pub fn within(mut self, section: &str) -> Fault {
        self.key = format!("{section}.{}", self.key);
        self
    }
}

/// Refuses a number outside of its range.
///
/// # Errors
/// When it is outside, with the range.
pub fn expect_range(key: &str, value: u64, least: u64, most: u64) -> Result<(), Fault> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Fault::new(key, format!("{value} is out of range; expected {least} to {most}")))
}

/// A configuration that cannot be used: which file, which key, and what was expected.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("{file}: cannot be read ({source}); expected a readable configuration file")]
    Unreadable {
        /// The path as it was given.
        file: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{file}: {problem}")]
    Syntax {
        /// The path as it was given.
        file: String,
        /// Where and why.
        problem: String,
    },
    /// A value cannot be used, or a key is missing or unknown.
    #[error("{origin}: {key}: {problem}")]
    Value {
        /// The file or variable that sets the value; all files when none does.
        origin: String,
        /// The key with the tables it stands in.
        key: String,
        /// What is wrong with it, and what would be accepted.
        problem: String,
    },
}

/// Reads the configuration from these files and the environment.
///
/// # Errors
/// The first value that cannot be used.
pub fn load<S: Settings>(files: &[PathBuf]) -> Result<S, ConfigError> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())));
    merge(files, environment)
}

/// Reads the configuration from these files and these variables.
///
/// # Errors
/// The first value that cannot be used.
pub fn merge<S: Settings>(
    files: &[PathBuf],
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<S, ConfigError> {
    let mut merged = Merged::default();
    for file in files {
        merged.read(file)?;
    }
    for (name, value) in environment {
        merged.set_from_variable(&name, &value);
    }
    merged.into_settings(files)
}

/// Values, and which file or variable set each.
#[derive(Default)]
struct Merged {
    values: Table,
    origins: BTreeMap<String, String>,
}

impl Merged {
    fn read(&mut self, path: &Path) -> Result<(), ConfigError> {
        let file = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(source) => return Err(ConfigError::Unreadable { file, source }),
        };
        let table = text.parse::<Table>().map_err(|error| {
            // One sentence: the excerpt of the file below it does not fit a line.
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let at = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            let problem = format!("{at}{}; expected TOML", error.message().replace('\n', ", "));
            ConfigError::Syntax { file: file.clone(), problem }
        })?;
        overlay(&mut self.values, table, "", &file, &mut self.origins);
        Ok(())
    }

    /// `MANDATE__PROCESS__LISTEN` sets `process.listen`. Variables that do not begin so are none of ours.
    fn set_from_variable(&mut self, name: &str, text: &str) {
        let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) else {
            return;
        };
        let keys: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        let known = keys.iter().try_fold(None, |table: Option<&Value>, key| match table {
            None => self.values.get(key).map(Some),
            Some(value) => value.get(key).map(Some),
        });
        let value = value_like(known.flatten(), text);
        let nested = keys.iter().rev().fold(value, |inner, key| Value::Table(Table::from_iter([(key.clone(), inner)])));
        if let Value::Table(table) = nested {
            overlay(&mut self.values, table, "", name, &mut self.origins);
        }
    }

    fn into_settings<S: Settings>(self, files: &[PathBuf]) -> Result<S, ConfigError> {
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        let origins = self.origins;
        let refuse = |key: String, problem: String| {
            let origin = origin_of(&origins, &key).unwrap_or_else(|| names.join(", "));
            ConfigError::Value { origin, key, problem }
        };
        let settings: S = serde_path_to_error::deserialize(Value::Table(self.values)).map_err(|error| {
            let key = error.path().to_string();
            let problem = error.into_inner().message().replace('\n', ", ");
            refuse(key, problem)
        })?;
        settings.check().map_err(|fault| refuse(fault.key, fault.problem))?;
        Ok(settings)
    }
}

/// Lays `over` on `base`: tables are merged, everything else is replaced.
fn overlay(base: &mut Table, over: Table, path: &str, origin: &str, origins: &mut BTreeMap<String, String>) {
    for (key, value) in over {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => {
                overlay(inner, value, &path, origin, origins);
            }
            (_, Value::Table(value)) => {
                let mut inner = Table::new();
                overlay(&mut inner, value, &path, origin, origins);
                origins.insert(path, origin.to_owned());
                base.insert(key, Value::Table(inner));
            }
            (_, value) => {
                origins.insert(path, origin.to_owned());
                base.insert(key, value);
            }
        }
    }
}

/// The value that a variable's text stands for: of the type the key has already, else whatever TOML reads in it, else text.
fn value_like(known: Option<&Value>, text: &str) -> Value {
    if known.is_some_and(Value::is_str) {
        return Value::String(text.to_owned());
    }
    let read = format!("value = {text}").parse::<Table>().ok();
    let value = read.and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// What set the key, or the nearest table around it.
fn origin_of(origins: &BTreeMap<String, String>, key: &str) -> Option<String> {
    let mut key = key;
    loop {
        if let Some(origin) = origins.get(key) {
            return Some(origin.clone());
        }
        key = &key[..key.rfind(['.', '['])?];
    }
}

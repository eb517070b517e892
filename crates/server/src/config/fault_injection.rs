//! What a process in development can be told to suffer, so that tests see what it does then.

use std::path::PathBuf;

use clock::Clock;
use failpoint::Plan;
use serde::{Deserialize, Serialize};

use super::Fault;
use crate::process::StartError;

/// What a process in development is told to suffer. Nothing by default, and refused in production.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultInjection {
    /// A file with the number of seconds that the clock of the process is ahead of the machine's; negative for behind. Read
    /// whenever the time is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_file: Option<PathBuf>,
    /// Where to die as by SIGKILL, and at which pass: `change.committed:1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub die_at: Option<String>,
}

impl FaultInjection {
    /// Refuses what production must not suffer, and what cannot be read.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn check(&self, development: bool) -> Result<(), Fault> {
        let is_empty = self.clock_file.is_none() && self.die_at.is_none();
        if !development && !is_empty {
            return Err(Fault::new("fault_injection", "is for development alone; expected nothing in production"));
        }
        self.plan().map(drop)
    }

    fn plan(&self) -> Result<Option<Plan>, Fault> {
        let plan = self.die_at.as_deref().map(str::parse).transpose();
        plan.map_err(|error: failpoint::NoPlan| Fault::new("fault_injection.die_at", error.to_string()))
    }

    /// The clock that the process reads.
    ///
    /// # Errors
    /// When the clock file cannot be used.
    pub fn clock(&self) -> Result<Clock, StartError> {
        match &self.clock_file {
            None => Ok(Clock::system()),
            Some(file) => {
                Clock::file(file).map_err(|error| StartError::new(format!("fault_injection.clock_file: {error}")))
            }
        }
    }

    /// Arms the point at which the process is to die, if it is.
    ///
    /// # Errors
    /// When there is no such point.
    pub fn arm(&self) -> Result<(), StartError> {
        if let Some(plan) = self.plan()? {
            tracing::warn!(point = plan.point.name(), pass = plan.pass, "this process is told to die");
            failpoint::arm(plan);
        }
        Ok(())
    }
}

//! Measures release binaries: builds what is measured and what measures it, and names PostgreSQL's programs.

use crate::process::{cargo, succeed};
use crate::steps::Steps;
use crate::tools;

/// The processes that are measured.
const SERVICES: [&str; 4] = ["gateway", "invitation", "relationship", "notification"];

/// Builds and measures; the arguments go to the suite, which says what it takes.
pub(crate) fn run(steps: &mut Steps, arguments: &[&str]) {
    let Some(programs) = steps.run("postgres", tools::postgres::find) else {
        return;
    };
    let mut build = cargo();
    build.args(["build", "--release", "--bins"]).args(SERVICES.iter().flat_map(|service| ["-p", service]));
    if steps.run("build", || succeed(&mut build)).is_none() {
        return;
    }
    let mut suite = cargo();
    suite.env(postgres::PROGRAMS_VARIABLE, programs);
    suite.args(["bench", "-p", "bench", "--bench", "suite", "--"]).args(arguments);
    steps.run("bench", || succeed(&mut suite));
}

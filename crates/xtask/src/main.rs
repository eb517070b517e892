//! `cargo xtask …`: the developer commands, so that a bare checkout needs nothing done by hand.
//!
//! Whatever they fetch or build lands under `target/tools`. They do not release or deploy.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "developer commands talk on the terminal")]

mod bench;
mod chaos;
mod checkout;
mod lint;
mod process;
mod steps;
mod test;
mod tools;

use std::io::Read as _;
use std::process::ExitCode;

use steps::Steps;
use test::Counts;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [arguments]   start PostgreSQL and run every test; arguments go to the test runner
                     in place of `--workspace`, as in `cargo xtask test -p store`
  bench [what]       measure against yardsticks and print tables: accept, check, growth, or all of them;
                     --quick for a first look, --document to put the figures into docs/performance.md
  chaos [arguments]  break a whole system on PostgreSQL while clients use it, and check what it promises:
                     `--seed N`, `--rounds N` or `--minutes N`; `--help` tells the rest
  lint               formatting, contract, dependency rules, clippy, documentation
  image              make the final stage of the image around each service and run it (needs buildah)
  ci                 lint, then test, then image
  tools              install what the other commands need and this machine lacks
  postgres           start PostgreSQL, print its address, stop it at the end of the input

MANDATE_TEST_POSTGRES, when it is set, names a server for `test` to use instead of its own.";

/// Bad usage, as `EX_USAGE` of sysexits.
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut steps = Steps::default();
    let counts = match words.as_slice() {
        ["test", rest @ ..] => test::run(&mut steps, rest),
        ["bench", rest @ ..] => {
            bench::run(&mut steps, rest);
            None
        }
        ["chaos", rest @ ..] => {
            steps.run("chaos", || chaos::run(rest));
            None
        }
        ["lint"] => {
            lint::run(&mut steps);
            None
        }
        ["image"] => {
            image(&mut steps);
            None
        }
        ["ci"] => ci(&mut steps),
        ["tools"] => {
            tools::install(&mut steps);
            None
        }
        ["postgres"] => {
            postgres_until_end_of_input(&mut steps);
            None
        }
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let exit_code = steps.finish();
    // The counts come last of all, where whoever reads the log looks for them.
    if let Some(counts) = counts {
        println!("\n{counts}");
    }
    exit_code
}

fn ci(steps: &mut Steps) -> Option<Counts> {
    tools::install(steps);
    lint::run(steps);
    let counts = test::run(steps, &[]);
    image(steps);
    counts
}

fn image(steps: &mut Steps) {
    steps.run("image", || process::succeed(&mut process::command(checkout::root().join("deploy/check-image"))));
}

fn postgres_until_end_of_input(steps: &mut Steps) {
    let Some(server) = steps.run("postgres", test::server) else {
        return;
    };
    println!("export {}='{}'", test::SERVER_VARIABLE, server.url());
    println!("Ctrl-D or Ctrl-C stops it.");
    // Whether the input ends or breaks, the server's time is over.
    std::io::stdin().read_to_end(&mut Vec::new()).ok();
}

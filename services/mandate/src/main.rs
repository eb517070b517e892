//! Runs what the command line asks for.

fn main() -> std::process::ExitCode {
    mandate::main()
}

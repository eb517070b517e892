//! Serves, migrates or prints the configuration of the relationship service.
fn main() -> std::process::ExitCode {
    server::main::<relationship::Relationship>()
}

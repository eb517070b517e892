//! Serves, migrates or prints the configuration of the invitation service.
fn main() -> std::process::ExitCode {
    server::main::<invitation::Invitation>()
}

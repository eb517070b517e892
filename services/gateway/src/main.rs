//! Serves the gateway or prints its configuration.
fn main() -> std::process::ExitCode {
    server::main::<gateway::Gateway>()
}

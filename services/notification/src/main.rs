//! Serves, migrates or prints the configuration of the notification service.
fn main() -> std::process::ExitCode {
    server::main::<notification::Notification>()
}

//! A shell that outlives us just long enough to stop the server and remove its folder.
//!
//! It waits for the end of its input, which comes when we close it and also when we are killed, so
//! that Ctrl-C, a panic and `kill -9` all leave nothing behind. It needs no signal handler of ours.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use super::account::{self, Account};

/// Every line of the input names the process to stop; an empty one, that there is none.
///
/// The server removes its `postmaster.pid` as the last thing it does. That is waited for rather than
/// the end of the process, which stays in the table until somebody collects it.
const SCRIPT: &str = r#"
server=
while read -r line; do server=$line; done
if [ -n "$server" ] && kill -QUIT "$server" 2>/dev/null; then
    tries=0
    while [ -e "$1/data/postmaster.pid" ] && [ "$tries" -lt 200 ]; do
        kill -0 "$server" 2>/dev/null || break
        sleep 0.05
        tries=$((tries + 1))
    done
    [ -e "$1/data/postmaster.pid" ] && kill -KILL "$server" 2>/dev/null
fi
rm -rf "$1"
"#;

/// The running shell.
#[derive(Debug)]
pub(super) struct Guardian {
    shell: Child,
}

impl Guardian {
    /// Starts to guard a folder, with the rights of the account that owns what will be in it.
    pub(super) fn start(folder: &Path, account: Option<Account>) -> Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "guardian"]).arg(folder).current_dir("/");
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Out of the terminal's group: Ctrl-C is for us, and reaches the guardian as our end.
        shell.process_group(0);
        account::apply(account, &mut shell);
        Ok(Self { shell: shell.spawn().context("`sh` cannot be started")? })
    }

    /// Names the process to stop at the end.
    pub(super) fn watch(&mut self, process: u32) -> Result<()> {
        self.tell(&format!("{process}\n"))
    }

    /// Takes the name back, because the process has ended by itself.
    pub(super) fn forget(&mut self) -> Result<()> {
        self.tell("\n")
    }

    /// Tells the guardian to do its work.
    pub(super) fn dismiss(&mut self) {
        drop(self.shell.stdin.take());
    }

    /// Waits until the work is done.
    pub(super) fn wait(&mut self) {
        self.shell.wait().ok();
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.shell.stdin.as_mut().context("the guardian is already dismissed")?;
        input.write_all(line.as_bytes()).context("the guardian is gone")
    }
}

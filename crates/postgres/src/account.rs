//! The account a server runs under: ours, or an unprivileged one when we are root.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command::output;

/// An account by its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Whether we are root.
fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// The account to change to; none when we have no privileges to give up.
pub(super) fn unprivileged() -> Result<Option<Account>> {
    if !is_root()? {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd").context("/etc/passwd cannot be read")?;
    let account = find(&accounts, "postgres").or_else(|| find(&accounts, "nobody"));
    let account = account.context(
        "PostgreSQL does not run as root, and there is no account `postgres` or `nobody`: \
         run this as another user",
    )?;
    Ok(Some(account))
}

/// Makes a command start under an account; the standard library drops root's other groups with it.
pub(super) fn apply(account: Option<Account>, command: &mut Command) {
    if let Some(Account { uid, gid }) = account {
        command.uid(uid).gid(gid);
    }
}

/// `postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash`
fn find(accounts: &str, name: &str) -> Option<Account> {
    let fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields.into_iter().find_map(|fields| match fields.as_slice() {
        [found, _, uid, gid, ..] if *found == name => Some(Account { uid: uid.parse().ok()?, gid: gid.parse().ok()? }),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Account, find};

    const ACCOUNTS: &str = "root:x:0:0:root:/root:/bin/bash\n\
        mypostgres:x:7:7::/:/bin/false\n\
        postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        assert_eq!(find(ACCOUNTS, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(find(ACCOUNTS, "nobody"), None);
    }
}

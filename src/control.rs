//! The control socket: how `gantry reload` speaks to the server that runs on the same data folder.
//!
//! One line with the wish, one answer: a line that begins with `ok` or with `refused`, and what there is to say. Only the server's
//! user can connect.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as Bound, UnixStream as Connected};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::fs::{Mode, OFlags};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::Signal;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::reload::Reloader;

/// The socket of a running server.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

/// What a running server answered.
pub(crate) enum Answer {
    /// It did so.
    Done(String),
    /// It did not, and says why.
    Refused(String),
}

impl Control {
    /// Listens in the data folder, in the place of a server that has ended. Whoever calls holds the folder's lock.
    pub(crate) fn bind(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let (short, _folder) = short_path(data_dir)?;
        let bound = Bound::bind(short)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        bound.set_nonblocking(true)?;
        Ok(Self { listener: UnixListener::from_std(bound)?, path })
    }

    async fn accept(listener: Option<&Self>) -> io::Result<UnixStream> {
        match listener {
            Some(control) => control.listener.accept().await.map(|(stream, _)| stream),
            None => std::future::pending().await,
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // What stays is replaced at the next start.
        drop(fs::remove_file(&self.path));
    }
}

/// Reloads on SIGHUP and on request, one after the other, until told to stop.
pub(crate) async fn serve(
    control: Option<Control>,
    mut hangup: Option<Signal>,
    reloader: Reloader,
    shutdown: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            () = received(&mut hangup) => {
                // What came of it is logged; nobody waits for an answer.
                drop(reloader.reload("SIGHUP").await);
                continue;
            }
            accepted = Control::accept(control.as_ref()) => accepted,
        };
        let answered = match accepted {
            Ok(stream) => answer(stream, &reloader).await,
            Err(error) => {
                warn!(%error, "the control socket does not accept");
                sleep(PATIENCE).await;
                continue;
            }
        };
        if let Err(error) = answered {
            debug!(%error, "a control connection failed");
        }
    }
}

/// Waits for the next signal. Cancel safe.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

async fn answer(mut stream: UnixStream, reloader: &Reloader) -> io::Result<()> {
    let mut line = Vec::new();
    let asked = timeout(PATIENCE, (&mut stream).take(MOST_ASKED).read_to_end(&mut line)).await;
    asked.map_err(|_| io::Error::from(ErrorKind::TimedOut))??;
    let told = match line.as_slice() {
        RELOAD => match reloader.reload("gantry reload").await {
            Ok(told) => format!("{OK}{told}\n"),
            Err(told) => format!("{REFUSED}{told}\n"),
        },
        _ => format!("{REFUSED}this server knows no such request: is it of another version?\n"),
    };
    let sent = timeout(PATIENCE, stream.write_all(told.as_bytes())).await;
    sent.map_err(|_| io::Error::from(ErrorKind::TimedOut))?
}

/// Asks the server that runs on this data folder to read its rules again, and waits for its answer.
///
/// # Errors
/// No server runs there, it belongs to another user, or it does not answer.
pub(crate) fn ask_to_reload(data_dir: &Path) -> anyhow::Result<Answer> {
    let nobody = || format!("no server runs on the data folder {}", data_dir.display());
    let (short, _folder) = short_path(data_dir).with_context(nobody)?;
    let mut stream = match Connected::connect(short) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            bail!("{}: a server reads its rules when it starts", nobody())
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot reach the server on {}", data_dir.display()));
        }
    };
    let told = exchange(&mut stream).context("the server does not answer; its log may say why")?;
    if let Some(told) = told.strip_prefix(OK) {
        Ok(Answer::Done(told.trim_end().to_owned()))
    } else if let Some(told) = told.strip_prefix(REFUSED) {
        Ok(Answer::Refused(told.trim_end().to_owned()))
    } else {
        bail!("the server ended before it answered; its log may say why")
    }
}

/// Whether a server runs on a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It answers at its control socket.
    Runs,
    /// There is a control socket, or may be one, that this user may not use.
    Unknown,
    /// None does.
    None,
}

/// Looks whether a server runs on this data folder. It is not disturbed.
pub(crate) fn presence(data_dir: &Path) -> Presence {
    let connected = short_path(data_dir).and_then(|(short, _folder)| Connected::connect(short));
    match connected {
        Ok(_) => Presence::Runs,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Presence::Unknown,
        Err(_) => Presence::None,
    }
}

fn exchange(stream: &mut Connected) -> io::Result<String> {
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(RELOAD)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut told = Vec::new();
    stream.take(MOST_TOLD).read_to_end(&mut told)?;
    Ok(String::from_utf8_lossy(&told).into_owned())
}

/// The socket's path, or one through an open folder where that is longer than an address may be; valid while the folder is open.
fn short_path(data_dir: &Path) -> io::Result<(PathBuf, Option<OwnedFd>)> {
    let path = data_dir.join(NAME);
    if path.as_os_str().len() < MOST_PATH {
        return Ok((path, None));
    }
    let folder =
        rustix::fs::open(data_dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let through = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(NAME);
    Ok((through, Some(folder)))
}

const NAME: &str = "control.sock";
const RELOAD: &[u8] = b"reload\n";
const OK: &str = "ok ";
const REFUSED: &str = "refused\n";
/// A little less than the address of a Unix socket holds everywhere (104 bytes on BSD, 108 on Linux).
const MOST_PATH: usize = 100;
/// Bytes of a request that are read.
const MOST_ASKED: u64 = 64;
/// Bytes of an answer that are read: faults of a thousand files.
const MOST_TOLD: u64 = 16 << 20;
/// How long either side may take to send what it has.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a reload may take: files are read, tests are run, and the index writes a row.
const ANSWER: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_folders_have_a_short_path() {
        let folder = tempfile::tempdir().unwrap();
        let long = folder.path().join("x".repeat(120));
        fs::create_dir(&long).unwrap();
        let (short, folder) = short_path(&long).unwrap();
        assert!(short.as_os_str().len() < MOST_PATH && folder.is_some());
        drop(Bound::bind(short).unwrap());
        assert!(long.join(NAME).exists());
    }
}

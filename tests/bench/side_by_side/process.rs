//! A server process, what it and its children cost, and how it is stopped.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to stop when asked to.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// A child of ours that is stopped when dropped.
pub(crate) struct Process {
    child: Child,
}

/// Memory of a process and its children, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    /// VmHWM: the highest `resident` since the start or the last [`Process::forget_peak`].
    pub(crate) peak: u64,
}

impl Process {
    /// Starts `command` with both outputs appended to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        let errors = out.try_clone()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        Ok(Self { child })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// CPU time so far: the process with its threads, its children, and theirs that it has waited for.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        Ok(family(self.id())?.iter().map(|member| member.cpu).sum())
    }

    /// Sums over the process and its living children; pages they share count for each.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let mut memory = Memory { resident: 0, peak: 0 };
        for member in family(self.id())? {
            // A zombie has no memory and no such lines.
            let status = fs::read_to_string(format!("/proc/{}/status", member.id)).unwrap_or_default();
            memory.resident += status_bytes(&status, "VmRSS:");
            memory.peak += status_bytes(&status, "VmHWM:");
        }
        Ok(memory)
    }

    /// Lets the peak begin anew at what is resident now (proc(5), clear_refs).
    pub(crate) fn forget_peak(&self) -> Result<()> {
        fs::write(format!("/proc/{}/clear_refs", self.id()), "5").context("reset the peak of resident memory")
    }

    pub(crate) fn has_ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for a process that ends by itself; returns how it ended and what CPU time it and its children took.
    pub(crate) fn wait(mut self) -> Result<(ExitStatus, Duration)> {
        let before = cpu_of_waited_children()?;
        let status = self.child.wait()?;
        Ok((status, cpu_of_waited_children()?.saturating_sub(before)))
    }

    /// SIGTERM, then SIGKILL when that is not obeyed in time.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < STOP_PATIENCE {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(2));
        }
        self.kill()?;
        bail!("the process had to be killed")
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn signal(&self, signal: Signal) {
        // It may have ended already, which is as good.
        kill_process(Pid::from_child(&self.child), signal).ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop().ok();
        }
    }
}

/// CPU time of this program itself, for the floor that runs inside it.
pub(crate) fn own_cpu() -> Result<Duration> {
    let stat = Stat::read(std::process::id()).context("read /proc/self/stat")?;
    Ok(ticks(stat.own))
}

fn cpu_of_waited_children() -> Result<Duration> {
    let stat = Stat::read(std::process::id()).context("read /proc/self/stat")?;
    Ok(ticks(stat.waited))
}

struct Member {
    id: u32,
    cpu: Duration,
}

/// The process and its descendants, zombies included: they keep their CPU time until they are waited for.
fn family(root: u32) -> Result<Vec<Member>> {
    let mut everyone = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        if let Some(id) = name.to_str().and_then(|name| name.parse::<u32>().ok())
            && let Some(stat) = Stat::read(id)
        {
            everyone.push((id, stat));
        }
    }
    let mut ids = vec![root];
    let mut next = 0;
    while let Some(parent) = ids.get(next).copied() {
        ids.extend(everyone.iter().filter(|(_, stat)| stat.parent == parent).map(|(id, _)| *id));
        next += 1;
    }
    let members = everyone.iter().filter(|(id, _)| ids.contains(id));
    Ok(members.map(|(id, stat)| Member { id: *id, cpu: ticks(stat.own + stat.waited) }).collect())
}

/// Fields of /proc/PID/stat, in clock ticks.
struct Stat {
    parent: u32,
    own: u64,
    waited: u64,
}

impl Stat {
    fn read(id: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name may hold spaces and parentheses; the last one ends it. Field 3 of proc(5) is then the first.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(4)?).ok()?,
            own: number(14)? + number(15)?,
            waited: number(16)? + number(17)?,
        })
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs(count) / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100)
}

fn status_bytes(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

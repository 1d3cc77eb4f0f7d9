//! A command in a process group of its own: streamed, limited, and gone afterwards with everything it started in that group.
//!
//! A process that the command moves into a session of its own (`setsid`, a service manager) is meant to stay and does.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::left::Running;
use super::output::Output;
use super::{Ended, Error, Program, Stream};

/// Between TERM and KILL.
pub(super) const TERM_GRACE: Duration = Duration::from_secs(5);
/// Between KILL and giving up on a process that the kernel does not let go of.
const KILL_GRACE: Duration = Duration::from_secs(10);
/// How long output is waited for after the command itself has ended; a daemon may have inherited the pipe.
const DRAIN_LIMIT: Duration = Duration::from_millis(500);
/// What the command itself had printed when it ended is in its pipes, each of which holds so much unless somebody made it larger.
const PIPE_BYTES: usize = 64 << 10;
/// Looks at what the command started and has not left its group, after the command itself has ended well. Looks and not a time: where the
/// machine pauses, what was started has had no time either.
const LEAVE_LOOKS: u32 = 50;
/// From one look to the next.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Read at once. Between two such reads a time limit and a cancellation are heard, so the lines of one must soon be dealt with.
const CHUNK_BYTES: usize = 8 << 10;
/// Bytes of standard error that are kept of a command whose answer is read.
const LAST_WORDS_BYTES: usize = 4 << 10;

/// Runs a program until it ends, `limit` has passed or it is cancelled; then ends what is left of its group.
pub(super) async fn run(
    program: Program<'_>,
    limit: Duration,
    output: &mut Output<'_>,
    output_path: &Path,
    cancel: &CancellationToken,
) -> Result<Ended, Error> {
    let stdin = program.stdin.is_some();
    let mut child = spawn(&program, if stdin { Stdio::piped() } else { Stdio::null() })?;
    let group = Group::of(&child);
    // Only then is it given what it waits for: an engine that is killed now leaves a command that is known.
    let _running = child.id().and_then(|pid| Running::note(output_path, pid));
    let _given = Given::to(&mut child, program.stdin);
    let mut pipes = Pipes::of(&mut child);
    let mut exited = tokio::task::spawn_blocking({
        let leader = group.leader;
        move || wait_without_reaping(leader)
    });
    let mut ended = Ended::default();
    let mut next_measure = Measure::Terminate;
    let mut deadline = Instant::now() + limit;
    loop {
        tokio::select! {
            biased;
            _ = &mut exited => break,
            () = cancel.cancelled(), if !ended.cancelled && !ended.timed_out => {
                ended.cancelled = true;
                deadline = Instant::now();
            }
            () = sleep_until(deadline) => {
                ended.timed_out = !ended.cancelled;
                deadline = match next_measure {
                    Measure::Terminate => {
                        group.signal(Signal::TERM);
                        next_measure = Measure::Kill;
                        Instant::now() + TERM_GRACE
                    }
                    Measure::Kill => {
                        group.signal(Signal::KILL);
                        next_measure = Measure::GiveUp;
                        Instant::now() + KILL_GRACE
                    }
                    Measure::GiveUp => {
                        output.remark("the command does not die of SIGKILL; it hangs in the kernel and was left");
                        return Ok(ended);
                    }
                };
            }
            (stream, bytes) = pipes.read(), if pipes.are_open() => output.take(stream, &bytes),
        }
    }
    // The leader is dead and not yet reaped, so that its number still names this group and no other.
    let left = match ended.timed_out || ended.cancelled {
        true => Vec::new(),
        false => group.left_after(LEAVE_LOOKS).await,
    };
    group.signal(Signal::TERM);
    let drained = Instant::now() + DRAIN_LIMIT;
    // A pause of the machine does not cost what lies there.
    let mut owed = 2 * PIPE_BYTES;
    while pipes.are_open() {
        tokio::select! {
            biased;
            (stream, bytes) = pipes.read(), if owed > 0 || Instant::now() < drained => {
                owed = owed.saturating_sub(bytes.len());
                output.take(stream, &bytes);
            }
            () = sleep_until(drained) => break,
        }
    }
    for process in left {
        output.remark(&format!(
            "process {process} was still in the command's group and is ended; what is meant to stay leaves it by `setsid`"
        ));
    }
    drop(group);
    if let Ok(status) = child.wait().await {
        ended.note(status);
    }
    ended.ok = ended.exit_code == Some(0) && !ended.timed_out && !ended.cancelled;
    Ok(ended)
}

/// A command that is read for as long as it runs. Dropped, it is killed with its whole group.
pub struct Following {
    child: Child,
    pipes: Pipes,
    _group: Group,
}

impl Following {
    pub(super) fn start(program: &Program<'_>) -> Result<Self, Error> {
        let mut child = spawn(program, Stdio::null())?;
        Ok(Self {
            _group: Group::of(&child),
            pipes: Pipes::of(&mut child),
            child,
        })
    }

    /// What it prints next, as it came; `None` once it has closed both streams. Cancel-safe.
    pub async fn read(&mut self) -> Option<(Stream, Vec<u8>)> {
        while self.pipes.are_open() {
            let (stream, bytes) = self.pipes.read().await;
            if !bytes.is_empty() {
                return Some((stream, bytes));
            }
        }
        None
    }

    /// How it ended, in a few words. Waits for it, but not for one that has closed what it prints to and goes on.
    pub async fn ended(mut self) -> String {
        match tokio::time::timeout(DRAIN_LIMIT, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it printed no more and went on; it was ended".to_owned(),
        }
    }
}

/// Runs a command with this text on its standard input, and reads what it prints. Dropped, it is killed with its whole group.
///
/// # Errors
/// It could not be started, or how it failed and what it said last.
pub(super) async fn tell(program: &Program<'_>, text: &[u8]) -> Result<(), String> {
    let mut child = spawn(program, Stdio::piped()).map_err(|error| error.to_string())?;
    let stdin = child.stdin.take();
    let mut following = Following {
        _group: Group::of(&child),
        pipes: Pipes::of(&mut child),
        child,
    };
    let give = async {
        if let Some(mut stdin) = stdin {
            // One that does not read it may be content without it; its exit code tells.
            let _ = stdin.write_all(text).await;
        }
    };
    let hear = async {
        let mut last = String::new();
        while let Some((_, bytes)) = following.read().await {
            let text = String::from_utf8_lossy(&bytes);
            if let Some(line) = text.lines().rfind(|line| !line.trim().is_empty()) {
                last = line.to_owned();
            }
        }
        last
    };
    let ((), last) = tokio::join!(give, hear);
    let status = following.child.wait().await;
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) if last.is_empty() => Err(status.to_string()),
        Ok(status) => Err(format!("{status}: {last}")),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs a command and gives what it printed to its standard output. Dropped, it is killed with its whole group.
///
/// # Errors
/// It could not be started, how it failed, or that it printed more than so many bytes; without anything that it printed.
pub(super) async fn read(program: &Program<'_>, limit_bytes: usize) -> Result<Vec<u8>, String> {
    let heard = hear(program, limit_bytes).await?;
    match heard.status.success() {
        true => Ok(heard.stdout),
        false => Err(format!("the command failed: {}", heard.status)),
    }
}

/// The same of one that may fail, with the end of its standard error. Dropped, it is killed with its whole group.
///
/// # Errors
/// It could not be started, or printed more than so many bytes; without anything that it printed.
pub(super) async fn hear(program: &Program<'_>, limit_bytes: usize) -> Result<Heard, String> {
    let stdin = match program.stdin.is_some() {
        true => Stdio::piped(),
        false => Stdio::null(),
    };
    let mut child = spawn(program, stdin).map_err(|error| error.to_string())?;
    let _given = Given::to(&mut child, program.stdin.clone());
    let mut following = Following {
        _group: Group::of(&child),
        pipes: Pipes::of(&mut child),
        child,
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some((stream, bytes)) = following.read().await {
        match stream {
            Stream::Stdout => stdout.extend_from_slice(&bytes),
            Stream::Stderr => {
                stderr.extend_from_slice(&bytes);
                let passed: usize = stderr.len().saturating_sub(LAST_WORDS_BYTES);
                stderr.drain(..passed);
            }
        }
        if stdout.len() > limit_bytes {
            return Err(format!("the command printed more than {limit_bytes} bytes"));
        }
    }
    let status = following.child.wait().await;
    Ok(Heard {
        status: status.map_err(|error| error.to_string())?,
        stdout,
        stderr,
    })
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Heard {
    pub status: ExitStatus,
    /// What it printed, neither masked nor made harmless.
    pub stdout: Vec<u8>,
    /// The end of its standard error, in the same way.
    pub stderr: Vec<u8>,
}

/// What comes next for a command that does not end.
enum Measure {
    Terminate,
    Kill,
    GiveUp,
}

impl Ended {
    fn note(&mut self, status: ExitStatus) {
        self.exit_code = status.code();
        self.signal = status.signal();
    }
}

fn spawn(run: &Program<'_>, stdin: Stdio) -> Result<Child, Error> {
    let (program, arguments) = run
        .argv
        .split_first()
        .filter(|(program, _)| !program.is_empty())
        .ok_or(Error::NoProgram)?;
    let mut command = std::process::Command::new(program);
    command
        .args(arguments)
        .current_dir(run.folder)
        .process_group(0);
    for name in run.withheld {
        command.env_remove(name);
    }
    command.envs(run.env.iter().map(|(name, value)| (name, value)));
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Command::from(command)
        .spawn()
        .map_err(|source| Error::Spawn {
            program: program.clone(),
            source,
        })
}

/// A text on its way to a command's standard input, beside everything else: a command that does not read it keeps nobody waiting. Dropped,
/// it ends.
struct Given(Option<tokio::task::JoinHandle<()>>);

impl Given {
    fn to(child: &mut Child, text: Option<String>) -> Given {
        let given = child.stdin.take().zip(text).map(|(mut stdin, text)| {
            tokio::spawn(async move {
                // One that does not read it may be content without it; its exit code tells.
                let _ = stdin.write_all(text.as_bytes()).await;
            })
        });
        Given(given)
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

/// The group of a command; dropped, it is killed, also when the future that runs the command is dropped in the middle.
struct Group {
    leader: Pid,
}

impl Group {
    fn of(child: &Child) -> Self {
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Self {
            leader: id.expect("BUG: a child that was just started has no process id"),
        }
    }

    /// Members that are still there after so many looks, the leader apart. A program that was started with `setsid` in the last moment has
    /// not called it yet when the leader ends. On systems without `/proc` nothing is known.
    async fn left_after(&self, looks: u32) -> Vec<i32> {
        let mut left = self.others();
        for _ in 0..looks {
            if left.is_empty() {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            left = self.others();
        }
        left
    }

    fn others(&self) -> Vec<i32> {
        let leader = self.leader.as_raw_nonzero().get();
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| *pid != leader && group_of(*pid) == Some(leader))
            .collect()
    }

    fn signal(&self, signal: Signal) {
        // The one error there can be is that the group is already empty.
        let _ = kill_process_group(self.leader, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// The process group of a process that runs; `None` of one that is gone, or dead and not reaped.
fn group_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    fields.nth(1)?.parse().ok().filter(|_| state != "Z")
}

/// Waits for the end of `leader` and leaves it for tokio to reap.
fn wait_without_reaping(leader: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(leader), options) {}
}

/// Both output streams of a command.
struct Pipes {
    stdout: Option<tokio::process::ChildStdout>,
    stderr: Option<tokio::process::ChildStderr>,
    chunk: [Vec<u8>; 2],
}

impl Pipes {
    fn of(child: &mut Child) -> Self {
        let chunk = || Vec::with_capacity(CHUNK_BYTES);
        Self {
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            chunk: [chunk(), chunk()],
        }
    }

    fn are_open(&self) -> bool {
        self.stdout.is_some() || self.stderr.is_some()
    }

    /// The next bytes of either stream; a stream that has ended is closed and gives none. Cancel-safe.
    async fn read(&mut self) -> (Stream, Vec<u8>) {
        let [out, err] = &mut self.chunk;
        let (stream, count) = tokio::select! {
            count = read_some(&mut self.stdout, out) => (Stream::Stdout, count),
            count = read_some(&mut self.stderr, err) => (Stream::Stderr, count),
        };
        match (count, stream) {
            (0, Stream::Stdout) => self.stdout = None,
            (0, Stream::Stderr) => self.stderr = None,
            (1.., Stream::Stdout | Stream::Stderr) => {}
        }
        let bytes = self.chunk[stream as usize].clone();
        self.chunk[stream as usize].clear();
        (stream, bytes)
    }
}

/// Never completes for a stream that is closed. A read error is an end.
async fn read_some(pipe: &mut Option<impl AsyncRead + Unpin>, chunk: &mut Vec<u8>) -> usize {
    match pipe {
        Some(pipe) => pipe.read_buf(chunk).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

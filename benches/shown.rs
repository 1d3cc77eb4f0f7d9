//! A program in a terminal of its own, for benches: its keys, its output, the processor's time that it took. And how figures are
//! printed. Not in here: what is measured.

#![allow(dead_code)] // each bench uses a part
#![allow(clippy::print_stdout)] // whoever runs it reads it

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// A program in a terminal of its own.
pub struct Shown {
    program: Box<dyn Child + Send + Sync>,
    reader: Option<Box<dyn Read + Send>>,
    keys: Box<dyn Write + Send>,
    _master: Box<dyn MasterPty + Send>,
}

impl Shown {
    pub fn start(program: &Path, args: &[&str]) -> Shown {
        let size = PtySize {
            rows: 40,
            cols: 120,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).expect("a terminal");
        let mut command = CommandBuilder::new(program);
        command.args(args);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        let child = pair.slave.spawn_command(command).expect("a program");
        Shown {
            program: child,
            reader: Some(pair.master.try_clone_reader().expect("its output")),
            keys: pair.master.take_writer().expect("its keys"),
            _master: pair.master,
        }
    }

    /// A shell that becomes the program at a key: what it takes to make a terminal and a process is not the program's.
    pub fn at_a_key(program: &Path, args: &[&str]) -> Shown {
        let script = "echo ready; read key; exec \"$@\"";
        let program = program.to_str().expect("UTF-8");
        let args = [&["-c", script, "sh", program], args].concat();
        let mut shell = Shown::start(Path::new("/bin/sh"), &args);
        shell.until("ready");
        shell
    }

    /// How long it takes from the key until these bytes come.
    pub fn took(mut self, wanted: &str) -> Duration {
        let begun = Instant::now();
        self.press("\n");
        self.until(wanted);
        begun.elapsed()
    }

    /// Reads until these bytes have come.
    pub fn until(&mut self, wanted: &str) {
        let reader = self.reader.as_mut().expect("a reader");
        let (mut seen, mut bytes) = (Vec::new(), [0; 65_536]);
        loop {
            let n = reader.read(&mut bytes).expect("output");
            assert!(n > 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend_from_slice(&bytes[..n]);
            if seen.windows(wanted.len()).any(|w| w == wanted.as_bytes()) {
                return;
            }
        }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("keys");
    }

    /// What comes, and when it came, read by a thread of its own.
    pub fn chunks(&mut self) -> Receiver<(Instant, Vec<u8>)> {
        let mut reader = self.reader.take().expect("a reader");
        let (sender, chunks) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 65_536];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                if sender.send((Instant::now(), bytes[..n].to_vec())).is_err() {
                    return;
                }
            }
        });
        chunks
    }

    /// Reads whatever comes, so that the program never waits for its terminal.
    pub fn drain(&mut self) {
        let mut reader = self.reader.take().expect("a reader");
        std::thread::spawn(move || {
            let mut bytes = [0; 65_536];
            while let Ok(1..) = reader.read(&mut bytes) {}
        });
    }

    pub fn is_running(&mut self) -> bool {
        let ended = self.program.try_wait();
        ended.expect("a process of ours").is_none()
    }

    /// Seconds of processor time so far, of all of the program's threads.
    pub fn cpu_s(&self) -> f64 {
        let pid = self.program.process_id().expect("a process");
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
        let on_cpu_ns = threads.map(|thread| {
            let path = thread.expect("a thread").path().join("schedstat");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let ns = text.split_whitespace().next().unwrap_or("0");
            ns.parse::<f64>().expect("nanoseconds")
        });
        on_cpu_ns.sum::<f64>() / 1e9
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// The optimised program.
pub fn cutover() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_cutover"))
}

/// Prints the spread of what something took.
pub fn figures(name: &str, mut all: Vec<Duration>) {
    all.sort();
    let ms = |share: f64| {
        let at = ((all.len() - 1) as f64 * share).round() as usize;
        all[at].as_secs_f64() * 1_000.0
    };
    println!(
        "{name:<40} p50 {:8.3} ms  p99 {:8.3} ms  most {:8.3} ms",
        ms(0.5),
        ms(0.99),
        ms(1.0)
    );
}

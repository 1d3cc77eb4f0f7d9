//! Processor time of other processes, as Linux tells of them. Not in here: what is measured.

/// The kernel counts processor time in hundredths of a second.
pub const TICK_MS: f64 = 10.0;

/// Fields of a process's `stat` after its name: its parent; its own time; that of its children that have ended.
const PARENT: usize = 1;
const OWN: [usize; 2] = [11, 12];
const ENDED: [usize; 2] = [13, 14];

/// A process and the children that it has.
pub struct Family {
    main: String,
}

impl Family {
    /// That of the parent of this process.
    pub fn of_child(process: i32) -> Family {
        let fields = stat(&process.to_string()).expect("a process of this machine");
        Family {
            main: fields[PARENT].clone(),
        }
    }

    /// All of them together, those that have ended included.
    pub fn ticks(&self) -> f64 {
        let entries = std::fs::read_dir("/proc").expect("processes").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let children = names.filter(|name| {
            let fields = stat(name);
            fields.is_some_and(|fields| fields[PARENT] == self.main)
        });
        let running: f64 = children.map(|child| used(&child, &OWN)).sum();
        running + used(&self.main, &OWN) + used(&self.main, &ENDED)
    }
}

/// What one process has used by itself.
pub fn ticks(process: u32) -> f64 {
    used(&process.to_string(), &OWN)
}

/// None of a process that has just ended.
fn used(process: &str, fields: &[usize]) -> f64 {
    let Some(all) = stat(process) else {
        return 0.0;
    };
    let ticks = fields.iter().map(|n| all[*n].parse::<f64>());
    ticks.map(|n| n.expect("a number")).sum()
}

fn stat(process: &str) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

//! What this process uses, by the kernel's books.

use serde::Serialize;

/// Threads, and open files and sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Threads.
    pub threads: usize,
    /// File descriptors.
    pub files: usize,
}

impl Counted {
    /// How many there are.
    pub fn now() -> Self {
        Self {
            threads: entries("/proc/self/task"),
            files: entries("/proc/self/fd"),
        }
    }

    /// Are there no more than there were?
    pub fn is_within(self, before: Self) -> bool {
        self.threads <= before.threads && self.files <= before.files
    }
}

fn entries(folder: &str) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// The memory that this process holds, in KiB.
pub fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_default()
}

/// The memory that a process held over a while, in KiB.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    /// When all of it had begun.
    pub begin: u64,
    /// The most.
    pub max: u64,
    /// In the end.
    pub end: u64,
}

impl Memory {
    /// Notes what it is.
    pub fn sample(&mut self) {
        self.end = memory();
        self.max = self.max.max(self.end);
        if self.begin == 0 {
            self.begin = self.end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_asked() {
        let before = Counted::now();
        assert!(before.threads > 0 && before.files > 0 && memory() > 0);
        let file = std::fs::File::open("/proc/self/status");
        let after = Counted::now();
        assert!(file.is_ok() && after.files > 0);
        assert!(Counted::default().is_within(before) && !before.is_within(Counted::default()));
    }
}

//! Topic patterns as a trie over words. A key is matched against all patterns at once, in time bounded by the words of
//! the key times the nodes of the trie: no pattern makes it backtrack.

use std::collections::{HashMap, HashSet};

type Node = usize;
const ROOT: Node = 0;

/// One place in the trie.
#[derive(Debug)]
struct Branch<T> {
    words: HashMap<Box<str>, Node>,
    /// Behind `*`: exactly one word.
    star: Option<Node>,
    /// Behind `#`: any number of words.
    hash: Option<Node>,
    /// Reached by `#`, so it also absorbs further words.
    absorbs: bool,
    targets: Vec<T>,
}

impl<T> Branch<T> {
    fn new(absorbs: bool) -> Self {
        Self {
            words: HashMap::new(),
            star: None,
            hash: None,
            absorbs,
            targets: Vec::new(),
        }
    }

    fn is_bare(&self) -> bool {
        self.words.is_empty()
            && self.star.is_none()
            && self.hash.is_none()
            && self.targets.is_empty()
    }
}

/// The nodes that a key has led to so far. There are few, unless somebody made patterns to the contrary.
#[derive(Debug, Default)]
struct Places {
    list: Vec<Node>,
    /// The same, once looking through the list takes long.
    index: HashSet<Node>,
}

impl Places {
    /// How many are looked through one by one.
    const FEW: usize = 32;

    /// Adds a node; says whether it is new.
    fn add(&mut self, node: Node) -> bool {
        if self.list.len() < Self::FEW {
            if self.list.contains(&node) {
                return false;
            }
        } else {
            if self.index.is_empty() {
                self.index.extend(&self.list);
            }
            if !self.index.insert(node) {
                return false;
            }
        }
        self.list.push(node);
        true
    }

    fn clear(&mut self) {
        self.list.clear();
        self.index.clear();
    }
}

/// Patterns and what they lead to.
#[derive(Debug)]
pub(crate) struct Topics<T> {
    nodes: Vec<Branch<T>>,
    free: Vec<Node>,
}

impl<T> Default for Topics<T> {
    fn default() -> Self {
        Self {
            nodes: vec![Branch::new(false)],
            free: Vec::new(),
        }
    }
}

/// The words of a key or pattern; the empty text has none.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let some = !text.is_empty();
    text.split('.').filter(move |_| some)
}

/// The words of a pattern; `#.#` says no more than `#`.
fn pattern(text: &str) -> impl Iterator<Item = &str> {
    let mut after_hash = false;
    words(text).filter(move |word| {
        let again = after_hash && *word == "#";
        after_hash = *word == "#";
        !again
    })
}

impl<T: Copy + PartialEq> Topics<T> {
    pub(crate) fn insert(&mut self, text: &str, target: T) {
        let mut node = ROOT;
        for word in pattern(text) {
            node = match self.step(node, word) {
                Some(next) => next,
                None => self.grow(node, word),
            };
        }
        self.nodes[node].targets.push(target);
    }

    /// Removes one insertion of the pattern and target.
    pub(crate) fn remove(&mut self, text: &str, target: T) {
        let mut path = vec![(ROOT, "")];
        for word in pattern(text) {
            let Some(next) = path.last().and_then(|(node, _)| self.step(*node, word)) else {
                return;
            };
            path.push((next, word));
        }
        let Some(&(last, _)) = path.last() else {
            return;
        };
        let targets = &mut self.nodes[last].targets;
        if let Some(at) = targets.iter().position(|other| *other == target) {
            targets.swap_remove(at);
        }
        self.prune(&path);
    }

    /// Calls `found` with the targets of every pattern that matches; a target may come more than once.
    pub(crate) fn matches(&self, key: &str, mut found: impl FnMut(T)) {
        let mut at = Places::default();
        self.enter(ROOT, &mut at);
        let mut next = Places::default();
        for word in words(key) {
            next.clear();
            for &node in &at.list {
                let branch = &self.nodes[node];
                if branch.absorbs {
                    self.enter(node, &mut next);
                }
                let taken = branch
                    .words
                    .get(word)
                    .copied()
                    .into_iter()
                    .chain(branch.star);
                taken.for_each(|node| self.enter(node, &mut next));
            }
            std::mem::swap(&mut at, &mut next);
        }
        at.list
            .iter()
            .flat_map(|node| &self.nodes[*node].targets)
            .for_each(|target| found(*target));
    }

    /// Adds a node, and the one behind its `#`, which needs no word.
    fn enter(&self, node: Node, set: &mut Places) {
        if !set.add(node) {
            return;
        }
        if let Some(hash) = self.nodes[node].hash {
            self.enter(hash, set);
        }
    }

    fn step(&self, node: Node, word: &str) -> Option<Node> {
        let branch = &self.nodes[node];
        match word {
            "*" => branch.star,
            "#" => branch.hash,
            word => branch.words.get(word).copied(),
        }
    }

    fn grow(&mut self, node: Node, word: &str) -> Node {
        let branch = Branch::new(word == "#");
        let new = match self.free.pop() {
            Some(free) => {
                self.nodes[free] = branch;
                free
            }
            None => {
                self.nodes.push(branch);
                self.nodes.len() - 1
            }
        };
        let parent = &mut self.nodes[node];
        match word {
            "*" => parent.star = Some(new),
            "#" => parent.hash = Some(new),
            word => {
                parent.words.insert(word.into(), new);
            }
        }
        new
    }

    /// Frees the nodes at the end of a path that lead nowhere any more.
    fn prune(&mut self, path: &[(Node, &str)]) {
        for pair in path.windows(2).rev() {
            let [(parent, _), (node, word)] = *pair else {
                return;
            };
            if !self.nodes[node].is_bare() {
                return;
            }
            match word {
                "*" => self.nodes[parent].star = None,
                "#" => self.nodes[parent].hash = None,
                word => {
                    self.nodes[parent].words.remove(word);
                }
            }
            self.free.push(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(patterns: &[&str], key: &str) -> Vec<usize> {
        let mut topics = Topics::default();
        for (at, pattern) in patterns.iter().enumerate() {
            topics.insert(pattern, at);
        }
        let mut found = Vec::new();
        topics.matches(key, |at| found.push(at));
        found.sort_unstable();
        found.dedup();
        found
    }

    fn matches(pattern: &str, key: &str) -> bool {
        !matched(&[pattern], key).is_empty()
    }

    #[test]
    fn words_match_themselves() {
        assert!(matches("a.b", "a.b"));
        assert!(!matches("a.b", "a.c"));
        assert!(!matches("a.b", "a.b.c"));
        assert!(!matches("a.b.c", "a.b"));
    }

    #[test]
    fn star_is_exactly_one_word() {
        assert!(matches("*", "a"));
        assert!(matches("a.*.c", "a.b.c"));
        assert!(!matches("*", ""));
        assert!(!matches("*", "a.b"));
        assert!(!matches("a.*", "a"));
    }

    #[test]
    fn hash_is_any_number_of_words() {
        for key in ["", "a", "a.b.c"] {
            assert!(matches("#", key), "{key}");
        }
        for key in ["a", "a.b", "a.b.c"] {
            assert!(matches("a.#", key), "{key}");
            assert!(matches("a.#.#", key), "{key}");
        }
        assert!(matches("#.c", "c"));
        assert!(matches("#.c", "a.b.c"));
        assert!(matches("a.#.c", "a.c"));
        assert!(matches("a.#.c", "a.c.c"));
        assert!(!matches("a.#.c", "a.c.d"));
        assert!(matches("#.*", "a"));
        assert!(!matches("#.*", ""));
        assert!(matches("*.#.*", "a.b"));
        assert!(!matches("*.#.*", "a"));
    }

    #[test]
    fn empty_words_are_words() {
        assert!(matches("", ""));
        assert!(!matches("", "a"));
        assert!(matches("a..b", "a..b"));
        assert!(matches("a.*.b", "a..b"));
        assert!(matches("*.*", "."));
        assert!(!matches("*", "."));
        assert!(matches("#", "."));
    }

    #[test]
    fn a_ladder_of_bits() {
        let key = "0.0.1.1.0.lb.q.app.listener";
        assert_eq!(
            matched(
                &["*.*.1.#", "*.*.0.#", "*.*.*.1.#", "#.lb.q.app.listener"],
                key
            ),
            [0, 2, 3]
        );
    }

    #[test]
    fn removal_undoes_insertion() {
        let mut topics = Topics::default();
        for text in ["a.#.b", "a.#", "a.*", "", "#"] {
            topics.insert(text, 1);
            topics.insert(text, 2);
        }
        for text in ["a.#.b", "a.#", "a.*", "", "#"] {
            topics.remove(text, 1);
            topics.remove(text, 2);
            topics.remove(text, 3);
        }
        assert!(topics.nodes[ROOT].is_bare());
        assert_eq!(topics.free.len() + 1, topics.nodes.len());
        topics.insert("x.y", 7);
        let mut found = Vec::new();
        topics.matches("x.y", |target| found.push(target));
        assert_eq!(found, [7]);
    }

    #[test]
    fn hostile_patterns_cost_little() {
        let pattern = "#.a.".repeat(60) + "#.b";
        let key = vec!["a"; 120].join(".");
        let start = std::time::Instant::now();
        assert!(!matches(&pattern, &key));
        assert!(start.elapsed() < std::time::Duration::from_secs(1));
    }

    #[test]
    fn many_open_ended_patterns_are_matched_without_comparing_all_with_all() {
        let mut topics = Topics::default();
        for number in 0..1000 {
            let pattern = format!("#.{}{number}", "a.#.".repeat(30));
            topics.insert(&pattern, number);
        }
        let mut found = Vec::new();
        let key = format!("{}7", "a.".repeat(40));
        topics.matches(&key, |number| found.push(number));
        found.dedup();
        assert_eq!(found, [7]);
    }
}

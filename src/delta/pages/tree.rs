//! A walk through one tree in the order of its keys. It reads the inner pages alone: leaves are known by their first bytes.
//!
//! Bytes that no SQLite wrote end it: a page is known once, so that none is reached twice, and no tree is deeper than SQLite makes any. A walk
//! over a tree that is known already takes as many steps as the file has pages, at most.

use super::NotUnderstood;
use super::node::Kind;
use super::snapshot::Snapshot;

/// SQLite's own limit.
const DEEPEST: u8 = 20;

/// Where a walk is.
pub(super) struct Walk {
    /// Pages whose turn comes, the next one last, with how deep they lie.
    ahead: Vec<(u32, u8)>,
    is_table: bool,
    /// Whether the pages become known on this walk.
    is_first: bool,
    steps: u32,
}

/// A page of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub page: u32,
    pub is_leaf: bool,
}

impl Walk {
    /// Begins where no walk has been.
    pub fn first(snapshot: &mut Snapshot<'_>, root: u32) -> Result<Self, NotUnderstood> {
        let kind = snapshot.node(root, |node, _| Ok(node.kind))?;
        Ok(Self::of(root, kind.is_table(), true))
    }

    /// Begins over a tree that is known.
    pub fn again(root: u32, is_table: bool) -> Self {
        Self::of(root, is_table, false)
    }

    fn of(root: u32, is_table: bool, is_first: bool) -> Self {
        Self {
            ahead: vec![(root, 1)],
            is_table,
            is_first,
            steps: 0,
        }
    }

    /// Whether it is a table's with rowids; else it is an index', or a table's WITHOUT ROWID.
    pub fn is_table(&self) -> bool {
        self.is_table
    }

    /// The next page; an inner one comes before its children.
    pub fn next(&mut self, snapshot: &mut Snapshot<'_>) -> Result<Option<Step>, NotUnderstood> {
        let Some((page, depth)) = self.ahead.pop() else {
            return Ok(None);
        };
        self.steps += 1;
        if depth > DEEPEST || self.steps > snapshot.header.pages {
            let what = "is deeper in its tree than SQLite puts any";
            return Err(NotUnderstood::Page { page, what });
        }
        if self.is_first {
            snapshot.know(page)?;
        }
        let leaves = if self.is_table {
            &snapshot.table_leaves
        } else {
            &snapshot.index_leaves
        };
        let is_leaf = leaves.has(page);
        if !is_leaf {
            self.children(snapshot, page, depth + 1)?;
        }
        Ok(Some(Step { page, is_leaf }))
    }

    fn children(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        page: u32,
        depth: u8,
    ) -> Result<(), NotUnderstood> {
        let inner = if self.is_table {
            Kind::TableInner
        } else {
            Kind::IndexInner
        };
        let ahead = &mut self.ahead;
        snapshot.node(page, |node, header| {
            if node.kind != inner {
                let what = "is of another kind than its tree";
                return Err(NotUnderstood::Page { page, what });
            }
            ahead.extend(node.last_child.map(|child| (child, depth)));
            for place in (0..node.cells).rev() {
                let child = node.cell(place, header)?.child;
                ahead.extend(child.map(|child| (child, depth)));
            }
            Ok(())
        })
    }
}

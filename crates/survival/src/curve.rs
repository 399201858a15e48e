//! Survival on the grid, from the hazards of its cells.

/// The product of what survives cell after cell. It begins anew where nothing was at risk, and where all that was at
/// risk ended: what comes after such a place is known only of gaps that are older than it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Curve {
    /// Share that outlasts the lower edge of a cell, of its stretch.
    left: Vec<f64>,
    /// Share that outlasts the upper edge.
    right: Vec<f64>,
    /// The edge at which a cell's stretch ends; the cell's lower edge where nothing is at risk in it.
    end: Vec<usize>,
}

/// A hazard this near to 1 is one: nothing outlasts the cell.
const ALL_END: f64 = 1.0 - 1e-9;

/// How much of what outlasts one edge outlasts another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outlast {
    /// The share, as far as the stretch reaches.
    pub(crate) share: f64,
    /// Where the stretch ends before the other edge, the share that is not known to end before it.
    pub(crate) not_known: f64,
    /// Whether the stretch reaches the other edge.
    pub(crate) reaches: bool,
}

impl Curve {
    pub(crate) fn of(hazards: &[f64], covered: &[bool]) -> Self {
        let mut curve = Self::default();
        curve.set(hazards, covered);
        curve
    }

    /// As [`Curve::of`], in place.
    pub(crate) fn set(&mut self, hazards: &[f64], covered: &[bool]) {
        let cells = hazards.len();
        self.left.clear();
        self.right.clear();
        self.end.clear();
        self.end.resize(cells, 0);
        let mut share = 1.0;
        let mut begin = 0;
        for (cell, (hazard, covered)) in hazards.iter().zip(covered).enumerate() {
            let ends = *hazard >= ALL_END;
            let below = if !covered || ends { 0.0 } else { share * (1.0 - hazard) };
            self.left.push(share);
            self.right.push(below);
            if !covered {
                self.end[begin..=cell].fill(cell);
            } else if ends || cell + 1 == cells {
                self.end[begin..=cell].fill(cell + 1);
            }
            if !covered || ends {
                begin = cell + 1;
                share = 1.0;
            } else {
                share = below;
            }
        }
    }

    pub(crate) fn left(&self) -> &[f64] {
        &self.left
    }

    pub(crate) fn right(&self) -> &[f64] {
        &self.right
    }

    /// The edge at which the stretch that holds this cell ends.
    pub(crate) fn end(&self, cell: usize) -> usize {
        self.end.get(cell).copied().unwrap_or(cell)
    }

    pub(crate) fn outlast(&self, from: usize, to: usize) -> Outlast {
        if to <= from {
            return Outlast { share: 1.0, not_known: 0.0, reaches: true };
        }
        let stop = self.end(from).min(to);
        let base = self.left.get(from).copied().unwrap_or(0.0);
        if stop <= from || base <= 0.0 {
            return Outlast { share: 1.0, not_known: 1.0, reaches: false };
        }
        let share = self.right.get(stop - 1).copied().unwrap_or(0.0) / base;
        let reaches = stop == to;
        Outlast { share, not_known: if reaches { 0.0 } else { share }, reaches }
    }
}

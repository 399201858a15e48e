//! How many events were to be expected where so many came.

/// The normal distribution's 97.5 % point.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// The 95 % interval of the mean of a Poisson variable that came out as `seen` (F. Garwood, "Fiducial limits for the
/// Poisson distribution", 1936), by the approximation of E. B. Wilson and M. M. Hilferty (1931) to the chi-squared
/// distribution: off by less than a hundredth from two events on, and on the safe side below.
pub(crate) fn expected(seen: u64) -> (f64, f64) {
    let chi = |half_degrees: f64, z: f64| {
        let spread = 1.0 / (9.0 * half_degrees);
        half_degrees * (1.0 - spread + z * spread.sqrt()).powi(3)
    };
    let low = if seen == 0 { 0.0 } else { chi(seen as f64, -Z).max(0.0) };
    (low, chi(seen as f64 + 1.0, Z))
}

#[cfg(test)]
mod tests {
    use super::expected;

    #[test]
    fn the_interval_is_that_of_the_tables() {
        // Pearson and Hartley, Biometrika Tables for Statisticians, table 40.
        for (seen, low, high) in [(0, 0.0, 3.689), (1, 0.0253, 5.572), (5, 1.623, 11.668), (50, 37.11, 65.92)] {
            let (found_low, found_high) = expected(seen);
            assert!((found_low - low).abs() < 0.02 + low * 0.01, "{seen}: {found_low}");
            assert!((found_high - high).abs() < high * 0.01, "{seen}: {found_high}");
        }
    }
}

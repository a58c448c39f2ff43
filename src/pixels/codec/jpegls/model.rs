use super::header::Parameters;

/// What is learned of the errors in one context (T.87 §A.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    /// Sum of the sizes of errors, A.
    size: i32,
    /// Sum of errors, B.
    bias: i32,
    /// What the prediction is corrected by, C.
    pub(super) correction: i32,
    /// Errors that are summed up, N.
    count: i32,
}

/// What is learned of the samples that end runs (T.87 §A.7).
#[derive(Debug, Clone, Copy)]
pub(super) struct RunContext {
    size: i32,
    count: i32,
    negatives: i32,
    /// 1 when the run and the sample above are alike.
    is_alike: i32,
}

impl Context {
    pub(super) fn new(parameters: &Parameters) -> Self {
        Self { size: first_size(parameters), bias: 0, correction: 0, count: 1 }
    }

    /// The Golomb parameter k.
    pub(super) fn golomb(&self) -> u32 {
        golomb(self.size, self.count)
    }

    /// Whether small errors are rather negative, so that codes are given the other way round.
    pub(super) fn is_turned(&self, k: u32, near: i32) -> bool {
        near == 0 && k == 0 && 2 * self.bias <= -self.count
    }

    /// Learns an error.
    pub(super) fn learn(&mut self, error: i32, parameters: &Parameters) {
        self.bias += error * (2 * parameters.near + 1);
        self.size += error.abs();
        if self.count == parameters.reset {
            self.size >>= 1;
            self.bias >>= 1;
            self.count >>= 1;
        }
        self.count += 1;
        if self.bias <= -self.count {
            self.bias = (self.bias + self.count).max(1 - self.count);
            self.correction = (self.correction - 1).max(-128);
        } else if self.bias > 0 {
            self.bias = (self.bias - self.count).min(0);
            self.correction = (self.correction + 1).min(127);
        }
    }
}

impl RunContext {
    pub(super) fn new(parameters: &Parameters, is_alike: bool) -> Self {
        Self { size: first_size(parameters), count: 1, negatives: 0, is_alike: i32::from(is_alike) }
    }

    pub(super) fn golomb(&self) -> u32 {
        golomb(self.size + self.is_alike * (self.count >> 1), self.count)
    }

    /// The code of an error.
    pub(super) fn map(&self, error: i32, k: u32) -> i32 {
        let map = if error > 0 {
            k == 0 && 2 * self.negatives < self.count
        } else {
            error < 0 && (k != 0 || 2 * self.negatives >= self.count)
        };
        2 * error.abs() - self.is_alike - i32::from(map)
    }

    /// The error of a code.
    pub(super) fn unmap(&self, code: i32, k: u32) -> i32 {
        let sum = code + self.is_alike;
        let map = sum & 1 == 1;
        let size = (sum + 1) >> 1;
        if (k != 0 || 2 * self.negatives >= self.count) == map { -size } else { size }
    }

    pub(super) fn learn(&mut self, error: i32, code: i32, parameters: &Parameters) {
        if error < 0 {
            self.negatives += 1;
        }
        self.size += (code + 1 - self.is_alike) >> 1;
        if self.count == parameters.reset {
            self.size >>= 1;
            self.count >>= 1;
            self.negatives >>= 1;
        }
        self.count += 1;
    }
}

/// The code of an error in a regular context (T.87 §A.5.2).
pub(super) fn map(error: i32, is_turned: bool) -> i32 {
    match (is_turned, error >= 0) {
        (false, true) => 2 * error,
        (false, false) => -2 * error - 1,
        (true, true) => 2 * error + 1,
        (true, false) => -2 * (error + 1),
    }
}

/// The error of a code.
pub(super) fn unmap(code: i32, is_turned: bool) -> i32 {
    let error = if code & 1 == 0 { code >> 1 } else { -((code + 1) >> 1) };
    if is_turned { -error - 1 } else { error }
}

fn first_size(parameters: &Parameters) -> i32 {
    ((parameters.range + 32) / 64).max(2)
}

fn golomb(size: i32, count: i32) -> u32 {
    let mut k = 0;
    while k < 30 && (i64::from(count) << k) < i64::from(size) {
        k += 1;
    }
    k
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_errors_are_one_to_one() {
        for error in -300..=300 {
            for is_turned in [false, true] {
                let code = map(error, is_turned);
                assert!(code >= 0);
                assert_eq!(unmap(code, is_turned), error);
            }
        }
        let parameters = Parameters::lossless(8);
        for is_alike in [false, true] {
            let mut context = RunContext::new(&parameters, is_alike);
            for error in (-60..=60).filter(|error| !is_alike || *error != 0) {
                let k = context.golomb();
                let code = context.map(error, k);
                assert_eq!(context.unmap(code, k), error, "{is_alike} {error}");
                context.learn(error, code, &parameters);
            }
        }
    }
}

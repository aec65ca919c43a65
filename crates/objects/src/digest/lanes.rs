//! MD5's compression of several chains at once: RFC 1321, each variable an array with an element for each chain, which the compiler
//! turns into vectors.

/// Length of a block, in bytes.
pub(super) const BLOCK: usize = 64;

/// Most chains at once.
pub(super) const MOST_LANES: usize = 8;

/// The state before the first block.
pub(super) const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// A chain and its next blocks.
pub(super) struct Lane<'a> {
    /// The state before the blocks, and then behind them.
    pub(super) state: &'a mut [u32; 4],
    /// The blocks.
    pub(super) bytes: &'a [u8],
}

/// Puts `blocks` blocks into each chain; at most [`MOST_LANES`] chains, which have so many.
pub(super) fn compress(lanes: &mut [Lane<'_>], blocks: usize) {
    match lanes.len() {
        0 => {}
        1 => gathered::<1>(lanes, blocks),
        // Fewer lanes would take as long.
        _ => gathered::<MOST_LANES>(lanes, blocks),
    }
}

/// With the chains' states side by side; where they are fewer than `N` the first stands in, and its second result is dropped.
fn gathered<const N: usize>(lanes: &mut [Lane<'_>], blocks: usize) {
    let mut state = [[0; N]; 4];
    let inputs: [&[u8]; N] = std::array::from_fn(|lane| lanes.get(lane).unwrap_or(&lanes[0]).bytes);
    for (word, side_by_side) in state.iter_mut().enumerate() {
        *side_by_side = std::array::from_fn(|lane| lanes.get(lane).unwrap_or(&lanes[0]).state[word]);
    }
    dispatch(&mut state, &inputs, blocks);
    for (at, lane) in lanes.iter_mut().enumerate() {
        *lane.state = std::array::from_fn(|word| state[word][at]);
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "what the processor can is known when the program runs")]
fn dispatch<const N: usize>(state: &mut [[u32; N]; 4], inputs: &[&[u8]; N], blocks: usize) {
    if N == 1 {
        return run(state, inputs, blocks);
    }
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
        // SAFETY: the processor has what the function was compiled for.
        unsafe { run_avx512(state, inputs, blocks) }
    } else if is_x86_feature_detected!("avx2") {
        // SAFETY: as above.
        unsafe { run_avx2(state, inputs, blocks) }
    } else {
        run(state, inputs, blocks);
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn dispatch<const N: usize>(state: &mut [[u32; N]; 4], inputs: &[&[u8]; N], blocks: usize) {
    run(state, inputs, blocks);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl")]
fn run_avx512<const N: usize>(state: &mut [[u32; N]; 4], inputs: &[&[u8]; N], blocks: usize) {
    run(state, inputs, blocks);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_avx2<const N: usize>(state: &mut [[u32; N]; 4], inputs: &[&[u8]; N], blocks: usize) {
    run(state, inputs, blocks);
}

#[inline(always)]
fn run<const N: usize>(state: &mut [[u32; N]; 4], inputs: &[&[u8]; N], blocks: usize) {
    let inputs: [&[[u8; BLOCK]]; N] = inputs.map(|input| &input.as_chunks().0[..blocks]);
    let [mut a, mut b, mut c, mut d] = *state;
    for block in 0..blocks {
        let mut words = [[0; N]; 16];
        for (lane, input) in inputs.iter().enumerate() {
            for (word, bytes) in words.iter_mut().zip(input[block].as_chunks().0) {
                word[lane] = u32::from_le_bytes(*bytes);
            }
        }
        let before = [a, b, c, d];
        macro_rules! four {
            ($f:ident, [$s0:expr, $s1:expr, $s2:expr, $s3:expr], [$w0:expr, $w1:expr, $w2:expr, $w3:expr], [$k0:expr, $k1:expr, $k2:expr, $k3:expr]) => {
                a = step($f, a, b, c, d, &words[$w0], $k0, $s0);
                d = step($f, d, a, b, c, &words[$w1], $k1, $s1);
                c = step($f, c, d, a, b, &words[$w2], $k2, $s2);
                b = step($f, b, c, d, a, &words[$w3], $k3, $s3);
            };
        }
        four!(f, [7, 12, 17, 22], [0, 1, 2, 3], [0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee]);
        four!(f, [7, 12, 17, 22], [4, 5, 6, 7], [0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501]);
        four!(f, [7, 12, 17, 22], [8, 9, 10, 11], [0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be]);
        four!(f, [7, 12, 17, 22], [12, 13, 14, 15], [0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821]);
        four!(g, [5, 9, 14, 20], [1, 6, 11, 0], [0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa]);
        four!(g, [5, 9, 14, 20], [5, 10, 15, 4], [0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8]);
        four!(g, [5, 9, 14, 20], [9, 14, 3, 8], [0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed]);
        four!(g, [5, 9, 14, 20], [13, 2, 7, 12], [0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a]);
        four!(h, [4, 11, 16, 23], [5, 8, 11, 14], [0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c]);
        four!(h, [4, 11, 16, 23], [1, 4, 7, 10], [0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70]);
        four!(h, [4, 11, 16, 23], [13, 0, 3, 6], [0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05]);
        four!(h, [4, 11, 16, 23], [9, 12, 15, 2], [0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665]);
        four!(i, [6, 10, 15, 21], [0, 7, 14, 5], [0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039]);
        four!(i, [6, 10, 15, 21], [12, 3, 10, 1], [0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1]);
        four!(i, [6, 10, 15, 21], [8, 15, 6, 13], [0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1]);
        four!(i, [6, 10, 15, 21], [4, 11, 2, 9], [0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391]);
        a = sum(a, before[0]);
        b = sum(b, before[1]);
        c = sum(c, before[2]);
        d = sum(d, before[3]);
    }
    *state = [a, b, c, d];
}

/// `b + rotate(a + f(b, c, d) + word + sine)` in every lane; the sine is the integer part of 2^32 times that of 1 to 64.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the operation of RFC 1321 has them")]
fn step<const N: usize>(
    f: impl Fn(u32, u32, u32) -> u32,
    a: [u32; N],
    b: [u32; N],
    c: [u32; N],
    d: [u32; N],
    word: &[u32; N],
    sine: u32,
    shift: u32,
) -> [u32; N] {
    let mut result = [0; N];
    for lane in 0..N {
        let added = a[lane].wrapping_add(word[lane].wrapping_add(sine));
        let sum = added.wrapping_add(f(b[lane], c[lane], d[lane]));
        result[lane] = b[lane].wrapping_add(sum.rotate_left(shift));
    }
    result
}

#[inline(always)]
fn sum<const N: usize>(left: [u32; N], right: [u32; N]) -> [u32; N] {
    let mut result = [0; N];
    for lane in 0..N {
        result[lane] = left[lane].wrapping_add(right[lane]);
    }
    result
}

#[inline(always)]
const fn f(x: u32, y: u32, z: u32) -> u32 {
    (x & y) | (!x & z)
}

#[inline(always)]
const fn g(x: u32, y: u32, z: u32) -> u32 {
    (x & z) | (y & !z)
}

#[inline(always)]
const fn h(x: u32, y: u32, z: u32) -> u32 {
    x ^ y ^ z
}

#[inline(always)]
const fn i(x: u32, y: u32, z: u32) -> u32 {
    y ^ (x | !z)
}

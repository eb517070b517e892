//! Where a text departs from the paragraphs that stay as issued (R14, R15).
//!
//! Whether it departs is one comparison of bytes. Where it departs is for the partner to read: the paragraphs of the text are
//! aligned with the fixed ones by likeness, so that one changed word is one violation and not one for all that follows.

use std::collections::BTreeMap;

use super::check::character_at;
use super::{FREE_PARAGRAPHS, Kind, PARAGRAPH_BREAK, Part, Violation};

/// One violation per fixed paragraph that does not stand in `text` as issued. The link's own paragraph is left out when the
/// link is reported already.
pub(super) fn check(text: &str, fixed: &[&Part], link_is_wrong: bool) -> Vec<Violation> {
    if stands(text, fixed) {
        return Vec::new();
    }
    let mut differences = Differences::default();
    compare(text, fixed, &mut differences);
    let is_reported = |paragraph: usize| {
        link_is_wrong && fixed.iter().any(|part| part.paragraph == paragraph && part.kind == Kind::Link)
    };
    let differences = differences.0.into_iter().filter(|(paragraph, _)| !is_reported(*paragraph));
    let violation =
        |(paragraph, offset)| Violation::FixedTextChanged { paragraph, position: character_at(text, offset) };
    differences.map(violation).collect()
}

/// Whether `text` ends with the fixed paragraphs, byte by byte, after at most two others.
fn stands(text: &str, fixed: &[&Part]) -> bool {
    let issued: Vec<&str> = fixed.iter().map(|part| part.text.as_str()).collect();
    let Some(free) = text.strip_suffix(&issued.join(PARAGRAPH_BREAK)) else {
        return false;
    };
    // What stands before may be only empty lines, which is how a deleted paragraph can look.
    let is_apart = free.trim_start_matches('\n').is_empty() || free.ends_with(PARAGRAPH_BREAK);
    is_apart && blocks(free).len() <= FREE_PARAGRAPHS
}

/// The first difference of each paragraph, in bytes of the text.
#[derive(Default)]
struct Differences(BTreeMap<usize, usize>);

impl Differences {
    fn add(&mut self, part: &Part, offset: usize) {
        let first = self.0.entry(part.paragraph).or_insert(offset);
        *first = offset.min(*first);
    }
}

/// Lines of a text that stand together, between empty ones.
#[derive(Clone, Copy)]
struct Block<'a> {
    text: &'a str,
    start: usize,
}

impl Block<'_> {
    const fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut open = None;
    let mut at = 0;
    // The empty line after the last closes the last block.
    for line in text.split('\n').chain([""]) {
        if !line.is_empty() {
            open.get_or_insert(at);
        } else if let Some(start) = open.take() {
            found.push(Block { text: &text[start..at - 1], start });
        }
        at += line.len() + 1;
    }
    found
}

fn compare(text: &str, fixed: &[&Part], differences: &mut Differences) {
    let blocks = blocks(text);
    let matches = align(&blocks, fixed);
    // Fixed paragraphs without a block wait for the next that has one: they are missing somewhere before it.
    let mut missing: Vec<&Part> = Vec::new();
    let mut end_as_issued = None;
    let mut next_block = 0;
    for (part, matched) in fixed.iter().zip(matches) {
        let Some(index) = matched else {
            missing.push(part);
            continue;
        };
        let block = blocks[index];
        let strangers = strangers(&blocks, next_block, index);
        if let (Some(first), true) = (strangers.first(), missing.is_empty()) {
            differences.add(part, first.start);
        }
        // Between two paragraphs stands one empty line; around one that is reported it is part of that change.
        if let (Some(end), true, true) = (end_as_issued, missing.is_empty(), strangers.is_empty()) {
            let apart = end + PARAGRAPH_BREAK.len();
            if apart != block.start {
                differences.add(part, apart);
            }
        }
        add_missing(&missing, strangers, block.start, differences);
        missing.clear();
        if block.text != part.text {
            differences.add(part, block.start + first_difference(block.text, &part.text));
        }
        end_as_issued = (block.text == part.text).then_some(block.end());
        next_block = index + 1;
    }
    let strangers = strangers(&blocks, next_block, blocks.len());
    if let (Some(first), Some(part), true) = (strangers.first(), fixed.last(), missing.is_empty()) {
        differences.add(part, first.start);
    }
    add_missing(&missing, strangers, text.len(), differences);
}

/// The blocks from `from` to `to` that belong to nobody: those before the fixed text may be the partner's.
fn strangers<'a, 'b>(blocks: &'a [Block<'b>], from: usize, to: usize) -> &'a [Block<'b>] {
    let free = if from == 0 { FREE_PARAGRAPHS.min(to) } else { from };
    &blocks[free..to]
}

fn add_missing(missing: &[&Part], strangers: &[Block<'_>], end: usize, differences: &mut Differences) {
    for (index, part) in missing.iter().enumerate() {
        differences.add(part, strangers.get(index).map_or(end, |block| block.start));
    }
}

/// For each fixed paragraph the block that is it, or was made from it; in order, the latest where several would do.
fn align(blocks: &[Block<'_>], fixed: &[&Part]) -> Vec<Option<usize>> {
    let width = fixed.len() + 1;
    // best[i * width + j]: the most likeness to be had from the first i blocks and the first j fixed paragraphs.
    let mut best = vec![0; (blocks.len() + 1) * width];
    for (i, block) in blocks.iter().enumerate() {
        for (j, part) in fixed.iter().enumerate() {
            let alone = best[i * width + j + 1].max(best[(i + 1) * width + j]);
            let paired = likeness(block, part).map_or(0, |like| best[i * width + j] + like);
            best[(i + 1) * width + j + 1] = alone.max(paired);
        }
    }
    let mut matches = vec![None; fixed.len()];
    let (mut i, mut j) = (blocks.len(), fixed.len());
    while i > 0 && j > 0 {
        let here = best[i * width + j];
        let before = best[(i - 1) * width + j - 1];
        if likeness(&blocks[i - 1], fixed[j - 1]).is_some_and(|like| before + like == here) {
            matches[j - 1] = Some(i - 1);
            (i, j) = (i - 1, j - 1);
        } else if best[(i - 1) * width + j] == here {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    matches
}

/// How much a block resembles a paragraph; none when it is another text altogether.
fn likeness(block: &Block<'_>, part: &Part) -> Option<usize> {
    let (left, right) = (block.text.as_bytes(), part.text.as_bytes());
    if left == right {
        // More than any two that are merely alike.
        return Some(right.len() * 4);
    }
    let same = |pairs: &mut dyn Iterator<Item = (&u8, &u8)>| pairs.take_while(|(a, b)| a == b).count();
    let head = same(&mut left.iter().zip(right));
    let tail = same(&mut left[head..].iter().rev().zip(right[head..].iter().rev()));
    if (head + tail) * 2 >= right.len() {
        return Some(head + tail);
    }
    // Another URI where the link stood is the link changed, not a paragraph more.
    (part.kind == Kind::Link && block.text.contains("://")).then_some(1)
}

fn first_difference(text: &str, issued: &str) -> usize {
    let same = text.chars().zip(issued.chars()).take_while(|(a, b)| a == b);
    same.map(|(c, _)| c.len_utf8()).sum()
}

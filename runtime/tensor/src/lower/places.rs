//! Which values share memory.

use runtime_graph::Dim;

use super::layout::Home;
use super::step::Step;

/// Gives each buffer a slot, renames the slots of all homes, and returns rows and columns of the slots.
///
/// A buffer holds its slot from the step that first writes it to the last that reads it; those of results hold theirs
/// to the end. A free slot of the same kind of rows is taken again, the one whose width is nearest.
pub(super) fn assign(buffers: &[(Dim, usize)], steps: &mut [Step], outputs: &mut [&mut Home]) -> Vec<(Dim, usize)> {
    let mut last_use = vec![0; buffers.len()];
    for (index, step) in steps.iter_mut().enumerate() {
        let (read, written) = step.homes();
        read.into_iter().chain(written).for_each(|home| last_use[home.slot] = index);
    }
    outputs.iter().for_each(|home| last_use[home.slot] = steps.len());

    let mut slots: Vec<(Dim, usize)> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut places: Vec<Option<usize>> = vec![None; buffers.len()];
    for (index, step) in steps.iter_mut().enumerate() {
        let (read, written) = step.homes();
        let place = written.as_ref().map(|home| {
            let buffer = home.slot;
            *places[buffer].get_or_insert_with(|| {
                let (rows, width) = buffers[buffer];
                let fitting = free.iter().enumerate().filter(|(_, slot)| slots[**slot].0 == rows);
                match fitting.min_by_key(|(_, slot)| slots[**slot].1.abs_diff(width)).map(|(at, _)| at) {
                    Some(at) => {
                        let slot = free.swap_remove(at);
                        slots[slot].1 = slots[slot].1.max(width);
                        slot
                    }
                    None => {
                        slots.push((rows, width));
                        slots.len() - 1
                    }
                }
            })
        });
        let mut ended: Vec<usize> = read.iter().chain(&written).map(|home| home.slot).collect();
        ended.sort_unstable();
        ended.dedup();
        for home in read {
            home.slot = places[home.slot].expect("it was written by an earlier step");
        }
        if let Some((home, place)) = written.zip(place) {
            home.slot = place;
        }
        ended.retain(|buffer| last_use[*buffer] == index);
        free.extend(ended.into_iter().filter_map(|buffer| places[buffer]));
    }
    for home in outputs.iter_mut() {
        home.slot = places[home.slot].expect("a result is written by a step");
    }
    slots
}

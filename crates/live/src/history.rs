//! [`History`]: the samples of the last ten minutes, one per 10 s, in bounded memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::layers::LayerInfo;
use crate::tick::{FamilyInfo, Reading, SeriesInfo, Tick};

/// Milliseconds between two ticks of the history. Slightly less than 10 s, because ticks are not exactly on time.
const INTERVAL: u64 = 9_500;

/// Ticks that are kept: ten minutes.
const MAX_TICKS: usize = 60;

/// The size of the kept ticks, in numbers of 8 bytes: 16 MiB.
const MAX_SIZE: usize = 2 << 20;

/// A full state, followed by ticks with changes only, followed by the changes since the last tick.
#[derive(Debug, Default)]
pub(crate) struct History {
    base: FullState,
    ticks: VecDeque<Arc<Tick>>,
    ticks_size: usize,
    recent: Recent,
    keeps_ticks: bool,
}

/// All series with their values at one time.
#[derive(Debug, Default)]
struct FullState {
    time: u64,
    layers: Vec<Arc<LayerInfo>>,
    families: Vec<Arc<FamilyInfo>>,
    series: BTreeMap<u32, (Arc<SeriesInfo>, Reading)>,
    hidden: usize,
}

/// The changes of several samples, merged.
#[derive(Debug, Default)]
struct Recent {
    start: u64,
    tick: Tick,
    values: BTreeMap<u32, Reading>,
}

impl History {
    /// Without ticks, only the last state is kept.
    pub(crate) fn new(keeps_ticks: bool) -> Self {
        Self {
            keeps_ticks,
            ..Self::default()
        }
    }

    pub(crate) fn push(&mut self, tick: &Tick) {
        if self.base.time == 0 || !self.keeps_ticks {
            self.base.apply(tick);
            self.recent.start = tick.time;
            return;
        }
        self.recent.merge(tick);
        if tick.time >= self.recent.start + INTERVAL {
            let tick = self.recent.take();
            self.ticks_size += tick.size();
            self.ticks.push_back(Arc::new(tick));
        }
        while self.ticks.len() > MAX_TICKS || self.ticks_size > MAX_SIZE {
            let Some(oldest) = self.ticks.pop_front() else {
                break;
            };
            self.ticks_size -= oldest.size();
            self.base.apply(&oldest);
        }
    }

    /// Returns the ticks that bring a new viewer up to the last sample. The first one is a full state.
    pub(crate) fn replay(&self) -> VecDeque<Arc<Tick>> {
        if self.base.time == 0 {
            return VecDeque::new();
        }
        let mut ticks = VecDeque::with_capacity(self.ticks.len() + 2);
        ticks.push_back(Arc::new(self.base.to_tick()));
        ticks.extend(self.ticks.iter().cloned());
        ticks.extend(self.recent.to_tick().map(Arc::new));
        ticks
    }
}

/// Merges the ticks of a replay into one, with the last state only. Yields after each of them.
pub(crate) async fn last_state(replay: VecDeque<Arc<Tick>>) -> Tick {
    let mut state = FullState::default();
    for tick in replay {
        state.apply(&tick);
        tokio::task::yield_now().await;
    }
    state.to_tick()
}

impl FullState {
    fn apply(&mut self, tick: &Tick) {
        self.time = tick.time;
        self.hidden = tick.hidden;
        self.layers.extend(tick.layers.iter().cloned());
        self.families.extend(tick.families.iter().cloned());
        for info in &tick.series {
            let unknown = (Arc::clone(info), Reading::LabelsOnly);
            self.series.insert(info.id, unknown);
        }
        for (id, reading) in &tick.values {
            if let Some((_, value)) = self.series.get_mut(id) {
                *value = reading.whole();
            }
        }
        for id in &tick.gone {
            self.series.remove(id);
        }
    }

    fn to_tick(&self) -> Tick {
        let series = self.series.values();
        let values = self.series.iter();
        Tick {
            time: self.time,
            layers: self.layers.clone(),
            families: self.families.clone(),
            series: series.map(|(info, _)| Arc::clone(info)).collect(),
            values: values
                .map(|(id, (_, value))| (*id, value.clone()))
                .collect(),
            gone: Vec::new(),
            hidden: self.hidden,
        }
    }
}

impl Recent {
    fn merge(&mut self, tick: &Tick) {
        self.tick.time = tick.time;
        self.tick.hidden = tick.hidden;
        self.tick.layers.extend(tick.layers.iter().cloned());
        self.tick.families.extend(tick.families.iter().cloned());
        self.tick.series.extend(tick.series.iter().cloned());
        let values = tick.values.iter();
        self.values
            .extend(values.map(|(id, reading)| (*id, reading.whole())));
        self.tick.gone.extend(&tick.gone);
    }

    /// Returns the merged changes and starts again.
    fn take(&mut self) -> Tick {
        let values = std::mem::take(&mut self.values);
        let tick = std::mem::take(&mut self.tick);
        self.start = tick.time;
        Tick {
            values: values.into_iter().collect(),
            ..tick
        }
    }

    /// Returns the merged changes; `None` without a sample since the last tick.
    fn to_tick(&self) -> Option<Tick> {
        let values = self.values.iter();
        (self.tick.time > 0).then(|| Tick {
            time: self.tick.time,
            layers: self.tick.layers.clone(),
            families: self.tick.families.clone(),
            series: self.tick.series.clone(),
            values: values.map(|(id, reading)| (*id, reading.clone())).collect(),
            gone: self.tick.gone.clone(),
            hidden: self.tick.hidden,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{History, MAX_SIZE, MAX_TICKS};
    use crate::tick::{Reading, SeriesInfo, Tick};

    fn tick(time: u64, value: f64) -> Tick {
        Tick {
            time,
            values: vec![(1, Reading::Number(value))],
            ..Tick::default()
        }
    }

    fn first(time: u64) -> Tick {
        let info = SeriesInfo {
            id: 1,
            family: 1,
            labels: Vec::new(),
            created: None,
        };
        Tick {
            series: vec![Arc::new(info)],
            ..tick(time, 0.0)
        }
    }

    fn replayed(history: &History) -> Vec<(u64, String)> {
        let ticks = history.replay();
        let value = |tick: &Tick| format!("{:?}", tick.values);
        ticks.iter().map(|tick| (tick.time, value(tick))).collect()
    }

    #[test]
    fn samples_of_ten_seconds_are_merged_into_one_tick() {
        let mut history = History::new(true);
        history.push(&first(1_000));
        for second in 2..=21 {
            history.push(&tick(1_000 * second, second as f64));
        }
        history.push(&tick(22_000, 22.0));
        let times: Vec<_> = replayed(&history).iter().map(|(time, _)| *time).collect();
        assert_eq!(times, [1_000, 11_000, 21_000, 22_000]);
        assert_eq!(replayed(&history)[1].1, "[(1, Number(11.0))]");
    }

    #[test]
    fn ticks_older_than_ten_minutes_are_merged_into_the_first() {
        let mut history = History::new(true);
        history.push(&first(10_000));
        for i in 2..=100 {
            history.push(&tick(10_000 * i, i as f64));
        }
        let ticks = replayed(&history);
        assert_eq!(ticks.len(), MAX_TICKS + 1);
        assert_eq!(ticks[0], (400_000, "[(1, Number(40.0))]".to_owned()));
    }

    #[test]
    fn memory_of_the_history_is_limited() {
        let mut history = History::new(true);
        history.push(&first(10_000));
        let large: Arc<[f64]> = vec![0.0; MAX_SIZE / 4].into();
        for i in 2..=20 {
            history.push(&Tick {
                time: 10_000 * i,
                values: vec![(1, Reading::Numbers(Arc::clone(&large)))],
                ..Tick::default()
            });
        }
        assert_eq!(history.replay().len(), 1 + 3);
    }

    #[test]
    fn without_history_only_the_last_state_is_kept() {
        let mut history = History::new(false);
        history.push(&first(1_000));
        history.push(&tick(2_000, 2.0));
        history.push(&tick(3_000, 3.0));
        let expected = (3_000, "[(1, Number(3.0))]".to_owned());
        assert_eq!(replayed(&history), [expected]);
    }

    #[test]
    fn series_that_are_gone_are_not_in_the_full_state() {
        let mut history = History::new(false);
        history.push(&first(1_000));
        history.push(&Tick {
            time: 2_000,
            gone: vec![1],
            ..Tick::default()
        });
        let replay = history.replay();
        assert!(replay[0].series.is_empty() && replay[0].values.is_empty());
    }
}

//! The scheduler over a plan that records its batches, sums token ids, and fails for token 13.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::thread;

use futures::executor::block_on;
use futures::future::join_all;
use runtime_tensor::{Cache, Error, LowRanks, Outputs, PlanAdapter};

use super::*;

#[derive(Default)]
struct Summing {
    batches: Mutex<Vec<usize>>,
    open: AtomicBool,
}

impl Plan for Summing {
    fn run(&self, batch: &Batch) -> Result<Outputs, Error> {
        // Held until all requests are in the queue, so that what is batched does not depend on timing.
        while !self.open.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(!batch.token_ids().contains(&99), "token 99 panics");
        if batch.token_ids().contains(&13) {
            return Err(Error::Index { operator: "rows", index: 13, count: 13 });
        }
        self.batches.lock().expect("not poisoned").push(batch.tokens());
        let sum = |span: std::ops::Range<usize>| batch.token_ids()[span].iter().sum::<u32>();
        let data: Vec<f32> =
            batch.spans().map(|span| f32::from(u16::try_from(sum(span)).expect("small sums"))).collect();
        Ok(Outputs::new(vec![("logits".to_owned(), Matrix { rows: data.len(), width: 1, data })]))
    }

    fn cache(&self, _: usize) -> Result<Cache, Error> {
        Err(Error::NotCausal { operator: "sum", reason: "needs whole sequences" })
    }

    fn run_after(&self, batch: &Batch, _: &mut Cache) -> Result<Outputs, Error> {
        self.run(batch)
    }

    fn adapter(&self, _: &LowRanks) -> Result<PlanAdapter, Error> {
        Err(Error::NoProduct { name: "sum".to_owned() })
    }
}

fn sequence(ids: &[u32]) -> Sequence {
    Sequence { token_ids: ids.to_vec(), token_types: vec![0; ids.len()], rows: Vec::new() }
}

fn start(plan: &Arc<Summing>, token_budget: usize, memo: usize) -> Scheduler {
    let plan: Arc<dyn Plan> = Arc::<Summing>::clone(plan);
    Scheduler::start(plan, Head::SequenceClassification, token_budget, Memo::new(memo))
}

fn sums(results: Result<Answers, ScheduleError>) -> Vec<f32> {
    results.expect("it is answered").rows.into_iter().map(|result| result.data[0]).collect()
}

/// Asks everything at once, opening the plan when the worker has all but the first batch in its queue.
fn ask(plan: &Arc<Summing>, scheduler: &Scheduler, asked: &[&[&[u32]]]) -> Vec<Result<Answers, ScheduleError>> {
    let requests = asked.iter().map(|sequences| scheduler.run(sequences.iter().map(|ids| sequence(ids)).collect()));
    let opener = Arc::clone(plan);
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        opener.open.store(true, Ordering::SeqCst);
    });
    block_on(join_all(requests))
}

#[test]
fn requests_share_batches_within_the_budget_and_keep_their_order() {
    let plan = Arc::<Summing>::default();
    let scheduler = start(&plan, 4, 0);
    let answers = ask(&plan, &scheduler, &[&[&[1]], &[&[1, 1], &[2]], &[&[3], &[4, 4, 4, 4, 4, 4]], &[], &[&[5]]]);
    let answers: Vec<Vec<f32>> = answers.into_iter().map(sums).collect();
    assert_eq!(answers, [vec![1.0], vec![2.0, 2.0], vec![3.0, 24.0], vec![], vec![5.0]]);
    let batches = plan.batches.lock().expect("not poisoned").clone();
    assert_eq!(batches.iter().sum::<usize>(), 12);
    assert!(
        batches.iter().all(|tokens| *tokens <= 4 || *tokens == 6),
        "{batches:?}: only a long one is over the budget"
    );
    assert!(batches.len() <= 5, "{batches:?}: requests share batches");
}

#[test]
fn a_sequence_that_fails_or_panics_fails_its_own_request_only() {
    let plan = Arc::<Summing>::default();
    let scheduler = start(&plan, 100, 0);
    let answers = ask(&plan, &scheduler, &[&[&[1]], &[&[2], &[13]], &[&[99]], &[&[4]]]);
    assert!(answers[0].is_ok());
    assert!(matches!(&answers[1], Err(ScheduleError::Plan(_))));
    assert!(matches!(&answers[2], Err(ScheduleError::Panicked { message }) if message.contains("token 99")));
    assert_eq!(answers[3].as_ref().map(|results| results.rows[0].data[0]).ok(), Some(4.0));
}

#[test]
fn a_request_whose_caller_has_gone_is_not_run() {
    let plan = Arc::<Summing>::default();
    let scheduler = start(&plan, 1, 0);
    let mut first = Box::pin(scheduler.run(vec![sequence(&[1])]));
    let mut gone = Box::pin(scheduler.run(vec![sequence(&[7, 7])]));
    let mut context = Context::from_waker(Waker::noop());
    assert!(first.as_mut().poll(&mut context).is_pending());
    assert!(gone.as_mut().poll(&mut context).is_pending());
    drop(gone);
    plan.open.store(true, Ordering::SeqCst);
    assert_eq!(sums(block_on(first)), [1.0]);
    assert_eq!(sums(block_on(scheduler.run(vec![sequence(&[2])]))), [2.0]);
    assert!(!plan.batches.lock().expect("not poisoned").contains(&2));
}

#[test]
fn a_memo_answers_what_was_asked_before() {
    let plan = Arc::<Summing>::default();
    plan.open.store(true, Ordering::SeqCst);
    let scheduler = start(&plan, 100, 10);
    assert_eq!(sums(block_on(scheduler.run(vec![sequence(&[1]), sequence(&[2])]))), [1.0, 2.0]);
    assert_eq!(sums(block_on(scheduler.run(vec![sequence(&[2]), sequence(&[3]), sequence(&[1])]))), [2.0, 3.0, 1.0]);
    assert_eq!(*plan.batches.lock().expect("not poisoned"), [2, 1]);
}

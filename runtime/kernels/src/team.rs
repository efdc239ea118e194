//! Threads that go through the steps of one computation together.
//!
//! A leader, the calling thread, hands out the tasks of a step and takes part in it; helpers are tasks on the rayon
//! pool that follow it from step to step. A fork and join of the pool for each step would cost about as much as a small
//! product. Nobody depends on a helper: where the pool is busy, the leader does all by itself. Which thread does a
//! task never shows in a result.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Looks at a flag this often before the thread lets others run.
const LOOKS: u32 = 200;

/// A task of a step: its number, and the number of the thread that does it.
type Work<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// The threads of one computation.
pub struct Team<'a> {
    threads: usize,
    shared: Option<&'a Shared>,
    /// Steps so far; a cell also keeps a team from being used inside of a task.
    steps: Cell<usize>,
}

/// What leader and helpers share.
struct Shared {
    step: UnsafeCell<Step>,
    /// The number of the step that may be worked on; 0 between steps.
    open: AtomicUsize,
    /// The next task of it.
    next: AtomicUsize,
    /// Helpers that may be looking at `step`.
    inside: AtomicUsize,
    /// No step will follow.
    finished: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

#[derive(Clone, Copy)]
struct Step {
    work: *const Work<'static>,
    tasks: usize,
}

// SAFETY: `step` is written by the leader alone, while no step is open and no helper is inside; helpers read it only
// inside, after they have seen that a step is open. Both sides order this by sequentially consistent operations.
#[expect(unsafe_code, reason = "a step borrows from the leader's frame, which no safe type can say")]
unsafe impl Sync for Shared {}

impl Team<'_> {
    /// A team of the calling thread alone.
    pub fn alone() -> Self {
        Self { threads: 1, shared: None, steps: Cell::new(0) }
    }

    /// Runs `lead` with a team of as many threads as the current rayon pool has.
    pub fn of_pool<R>(lead: impl FnOnce(&Team<'_>) -> R) -> R {
        Self::of(rayon::current_num_threads(), lead)
    }

    /// Runs `lead` with a team of at most `threads`.
    pub fn of<R>(threads: usize, lead: impl FnOnce(&Team<'_>) -> R) -> R {
        if threads <= 1 {
            return lead(&Team::alone());
        }
        let shared = Shared {
            step: UnsafeCell::new(Step { work: &|_, _| (), tasks: 0 }),
            open: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            finished: AtomicBool::new(false),
            panic: Mutex::new(None),
        };
        rayon::in_place_scope(|scope| {
            let shared = &shared;
            let finish = OnDrop(|| shared.finished.store(true, Ordering::Release));
            for thread in 1..threads {
                scope.spawn(move |_| shared.help(thread));
            }
            let result = lead(&Team { threads, shared: Some(shared), steps: Cell::new(0) });
            drop(finish);
            result
        })
    }

    /// How many threads there are at most.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Calls `work(task, thread)` for each task below `tasks`; tasks on different threads may run at the same time.
    /// `thread` is below [`Self::threads`], and no two tasks run at the same time with the same one.
    pub fn each(&self, tasks: usize, work: &Work<'_>) {
        match self.shared {
            Some(shared) if tasks > 1 => {
                self.steps.set(self.steps.get() + 1);
                shared.lead(self.steps.get(), tasks, work);
            }
            _ => (0..tasks).for_each(|task| work(task, 0)),
        }
    }
}

impl Shared {
    fn lead(&self, number: usize, tasks: usize, work: &Work<'_>) {
        let work: *const Work<'_> = work;
        // SAFETY: only the lifetime changes; nobody uses the pointer once no helper is inside, which `close` waits for
        // before this frame ends, also where it ends by a panic.
        #[expect(unsafe_code, reason = "helpers borrow from this frame")]
        let work: *const Work<'static> = unsafe { std::mem::transmute(work) };
        // SAFETY: no step is open and no helper is inside, so nobody else looks.
        #[expect(unsafe_code, reason = "the other side of `take_tasks`")]
        unsafe {
            *self.step.get() = Step { work, tasks };
        }
        self.next.store(0, Ordering::Relaxed);
        let close = OnDrop(|| {
            self.open.store(0, Ordering::SeqCst);
            let mut waiting = Waiting::default();
            while self.inside.load(Ordering::SeqCst) > 0 {
                waiting.look();
            }
        });
        self.open.store(number, Ordering::SeqCst);
        self.take_tasks(0);
        drop(close);
        if let Some(panic) = self.panic.lock().map_or(None, |mut panic| panic.take()) {
            resume_unwind(panic);
        }
    }

    /// Follows the leader until it has finished.
    fn help(&self, thread: usize) {
        let mut done = 0;
        let mut waiting = Waiting::default();
        while !self.finished.load(Ordering::Acquire) {
            let open = self.open.load(Ordering::Relaxed);
            if open == 0 || open == done {
                waiting.look();
                continue;
            }
            waiting = Waiting::default();
            self.inside.fetch_add(1, Ordering::SeqCst);
            let leave = OnDrop(|| {
                self.inside.fetch_sub(1, Ordering::SeqCst);
            });
            // Either this sees that the leader has closed the step, or the leader sees this helper inside.
            done = self.open.load(Ordering::SeqCst);
            if done != 0
                && let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.take_tasks(thread)))
                && let Ok(mut first) = self.panic.lock()
            {
                first.get_or_insert(panic);
            }
            drop(leave);
        }
    }

    fn take_tasks(&self, thread: usize) {
        // SAFETY: the caller is the leader, or a helper that is inside while the step is open.
        #[expect(unsafe_code, reason = "the step borrows from the leader's frame")]
        let (work, tasks) = unsafe {
            let step = *self.step.get();
            (&*step.work, step.tasks)
        };
        loop {
            let task = self.next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return;
            }
            work(task, thread);
        }
    }
}

/// Looks a few times in a row, then lets other threads run before each further look.
#[derive(Default)]
struct Waiting(u32);

impl Waiting {
    fn look(&mut self) {
        if self.0 < LOOKS {
            self.0 += 1;
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn each_task_of_each_step_is_done_once() {
        for threads in [1, 2, 5] {
            Team::of(threads, |team| {
                for tasks in [0, 1, 2, 3, 100, 7, 1000] {
                    let counts: Vec<AtomicU32> = (0..tasks).map(|_| AtomicU32::new(0)).collect();
                    team.each(tasks, &|task, thread| {
                        assert!(thread < threads);
                        counts[task].fetch_add(1, Ordering::Relaxed);
                    });
                    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{tasks} tasks");
                }
            });
        }
    }

    #[test]
    fn a_step_sees_what_the_step_before_wrote() {
        let sums: Vec<AtomicUsize> = (0..64).map(|_| AtomicUsize::new(0)).collect();
        Team::of(3, |team| {
            for step in 0..2000 {
                team.each(64, &|task, _| {
                    let before = sums[(task + 1) % 64].load(Ordering::Relaxed);
                    assert!(before == step || before == step + 1, "{before} in step {step}");
                    sums[task].store(step + 1, Ordering::Relaxed);
                });
            }
        });
    }

    #[test]
    fn a_panic_of_a_task_reaches_the_caller() {
        for threads in [1, 3] {
            let panic = catch_unwind(|| {
                Team::of(threads, |team| team.each(50, &|task, _| assert_ne!(task, 33, "task {task} fails")));
            });
            let panic = panic.expect_err("task 33 panics");
            let message = panic.downcast_ref::<String>().expect("a formatted message");
            assert!(message.contains("task 33 fails"), "{message}");
        }
    }
}

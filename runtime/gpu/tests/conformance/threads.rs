//! One GPU that several threads use at once.

use runtime_gpu::{Elementwise, Read};

use crate::support::{Random, gpus, room};

#[test]
fn recordings_of_several_threads_do_not_meet() {
    for gpu in gpus() {
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                scope.spawn(move || {
                    let mut random = Random::new(70 + u64::from(thread));
                    for _ in 0..30 {
                        // Scratch of few sizes, so that threads take up what others have left.
                        let count = random.of(&[10, 200, 1000, 5000]);
                        let x = random.numbers(count);
                        let mut recorder = gpu.record();
                        let here = recorder.upload_f32(&x).expect("there is memory");
                        let (once, twice) = (room(gpu, count), room(gpu, count));
                        let doubled = Elementwise { scale: Some(2.0), ..Elementwise::default() };
                        recorder.elementwise(&here, count, &doubled, &once);
                        drop(here);
                        recorder.elementwise(&once, count, &doubled, &twice);
                        drop(once);
                        let results = recorder.finish(&[Read::new(&twice, 0, count)]).expect("the recording is right");
                        assert_eq!(results.f32(0), x.iter().map(|x| 4.0 * x).collect::<Vec<_>>());
                    }
                });
            }
        });
    }
}

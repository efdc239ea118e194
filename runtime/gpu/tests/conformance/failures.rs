//! What goes wrong with a GPU is an error, and the process goes on.

use runtime_diagnostics::{Exit, Explain};
use runtime_gpu::{Error, Finish, Gpu, Precision, Read, Stored, Weight, adapters};

use crate::support::{gpus, room};

#[test]
fn what_is_too_large_says_how_much_was_asked_for() {
    for gpu in gpus() {
        let bytes = usize::try_from(gpu.largest()).expect("64 bits") + 16;
        let error = gpu.scratch(bytes).expect_err("no buffer is so large");
        assert!(matches!(error, Error::TooLarge { bytes: asked, .. } if asked == bytes as u64), "{error}");
        assert!(error.to_string().contains(&bytes.to_string()), "{error}");
        assert_eq!(error.exit(), Exit::Unavailable);
        assert!(error.hint().is_some());
        // It works as before.
        assert!(gpu.scratch(16).is_ok());
    }
}

#[test]
fn memory_that_is_not_there_is_an_error() {
    for gpu in gpus() {
        let Some(memory) = gpu.adapter().memory else { continue };
        let each = usize::try_from(gpu.largest()).expect("64 bits");
        let mut held = Vec::new();
        let count = memory / gpu.largest() + 1;
        // Memory is reserved, and not touched.
        let error = (0..count).find_map(|_| match gpu.empty(each) {
            Ok(buffer) => {
                held.push(buffer);
                None
            }
            Err(error) => Some(error),
        });
        let error = error.expect("there is not as much");
        assert!(matches!(error, Error::OutOfMemory { bytes, .. } if bytes == each as u64), "{error}");
        drop(held);
        assert!(gpu.empty(16).is_ok(), "memory is given back");
    }
}

/// A product of one row.
fn product(gpu: &Gpu) -> Result<Vec<f32>, Error> {
    let weight = Weight::new(gpu, Stored::F32, 1, &[&2.0f32.to_le_bytes()], Precision::AsStored)?;
    let mut recorder = gpu.record();
    let (x, to) = (recorder.upload_f32(&[21.0])?, gpu.scratch(4)?);
    recorder.product(&x, 1, &weight, &Finish::default(), &to);
    Ok(recorder.finish(&[Read::new(&to, 0, 1)])?.f32(0))
}

#[test]
fn a_lost_gpu_says_so_at_every_use_and_can_be_opened_anew() {
    for adapter in &adapters() {
        let gpu = Gpu::open(adapter).expect("an adapter opens");
        assert_eq!(product(&gpu).expect("it works"), [42.0]);
        let (x, to) = (gpu.upload_f32(&[1.0]).expect("there is memory"), room(&gpu, 1));
        let weight = Weight::new(&gpu, Stored::F32, 1, &[&2.0f32.to_le_bytes()], Precision::AsStored).expect("memory");
        let mut recorder = gpu.record();
        recorder.product(&x, 1, &weight, &Finish::default(), &to);
        gpu.destroy();
        // What was being recorded, and what begins now.
        let lost = |error: Error| assert!(matches!(error, Error::Lost { .. }), "{error}");
        lost(recorder.finish(&[Read::new(&to, 0, 1)]).expect_err("it is lost"));
        lost(product(&gpu).expect_err("it is lost"));
        lost(gpu.scratch(4).expect_err("it is lost"));
        lost(gpu.upload(&[1]).expect_err("it is lost"));
        lost(gpu.alive().expect_err("it is lost"));
        assert!(gpu.record().finish(&[]).is_err());
        let anew = Gpu::open(adapter).expect("an adapter opens again");
        assert_eq!(product(&anew).expect("it works"), [42.0]);
    }
}

#[test]
fn a_recording_that_is_dropped_does_nothing() {
    for gpu in gpus() {
        let to = gpu.upload_f32(&[5.0]).expect("there is memory");
        let weight = Weight::new(gpu, Stored::F32, 1, &[&2.0f32.to_le_bytes()], Precision::AsStored).expect("memory");
        let mut recorder = gpu.record();
        let x = recorder.upload_f32(&[1.0]).expect("there is memory");
        recorder.product(&x, 1, &weight, &Finish::default(), &to);
        drop(recorder);
        let results = gpu.record().finish(&[Read::new(&to, 0, 1)]).expect("the recording is right");
        assert_eq!(results.f32(0), [5.0]);
    }
}

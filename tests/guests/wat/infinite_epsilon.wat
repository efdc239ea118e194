;; architecture
;; Normalises with an infinite epsilon.
(import "inference:runtime/graph@0.1.0" "[method]value.rms-norm" (func $norm (param i32 i32 f64 f64) (result i32)))
(import "inference:runtime/weights@0.1.0" "tensor" (func $tensor (param i32 i32) (result i32)))
(data (i32.const 2048) "words.weight")
(func $normalise (local i32)
    (local.set 0 (call $tensor (i32.const 2048) (i32.const 12)))
    (drop (call $norm (local.get 0) (local.get 0) (f64.const inf) (f64.const 0))))
(func (export "build") (param i32 i32 i32) (result i32) (call $normalise) (i32.const 1200))

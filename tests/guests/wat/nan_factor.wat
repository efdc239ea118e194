;; architecture
;; Multiplies by what is no number.
(import "inference:runtime/graph@0.1.0" "[method]value.scale" (func $scale (param i32 f64) (result i32)))
(import "inference:runtime/weights@0.1.0" "tensor" (func $tensor (param i32 i32) (result i32)))
(data (i32.const 2048) "words.weight")
(func $multiply (drop (call $scale (call $tensor (i32.const 2048) (i32.const 12)) (f64.const nan))))
(func (export "build") (param i32 i32 i32) (result i32) (call $multiply) (i32.const 1200))

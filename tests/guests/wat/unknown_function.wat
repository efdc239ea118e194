;; architecture
;; Applies the activation number 99.
(import "inference:runtime/graph@0.1.0" "[method]value.activation" (func $activation (param i32 i32) (result i32)))
(import "inference:runtime/weights@0.1.0" "tensor" (func $tensor (param i32 i32) (result i32)))
(data (i32.const 2048) "words.weight")
(func $apply (drop (call $activation (call $tensor (i32.const 2048) (i32.const 12)) (i32.const 99))))
(func (export "build") (param i32 i32 i32) (result i32) (call $apply) (i32.const 1200))

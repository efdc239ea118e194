;; architecture
;; Passes a text that does not lie in its memory.
(import "inference:runtime/weights@0.1.0" "find" (func $find (param i32 i32 i32)))
(func $ask (call $find (i32.const -64) (i32.const 1000) (i32.const 4096)))
(func (export "build") (param i32 i32 i32) (result i32) (call $ask) (i32.const 1200))

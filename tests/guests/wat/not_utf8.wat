;; architecture
;; Asks for a tensor whose name is no text.
(import "inference:runtime/weights@0.1.0" "find" (func $find (param i32 i32 i32)))
(data (i32.const 2048) "words\ff\fe\c0\80")
(func $ask (call $find (i32.const 2048) (i32.const 9) (i32.const 4096)))
(func (export "build") (param i32 i32 i32) (result i32) (call $ask) (i32.const 1200))

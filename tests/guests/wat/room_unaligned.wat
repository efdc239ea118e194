;; architecture
;; Gives room at an odd place for what has 4 bytes.
(import "inference:runtime/weights@0.1.0" "find" (func $find (param i32 i32 i32)))
(data (i32.const 2048) "words.weight")
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65537))
(func (export "build") (param i32 i32 i32) (result i32)
    (call $find (i32.const 2048) (i32.const 12) (i32.const 4096)) (i32.const 1200))

;; architecture
;; Looks for the current folder.
(import "wasi:cli/environment@0.2.6" "initial-cwd" (func $ask (param i32)))
(func $reach (call $ask (i32.const 4096)))
(func (export "build") (param i32 i32 i32) (result i32) (call $reach) (i32.const 1200))

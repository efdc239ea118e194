;; architecture
;; Ends the program.
(import "wasi:cli/exit@0.2.6" "exit" (func $ask (param i32)))
(func $reach (call $ask (i32.const 0)))
(func (export "build") (param i32 i32 i32) (result i32) (call $reach) (i32.const 1200))

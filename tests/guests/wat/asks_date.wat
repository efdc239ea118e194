;; architecture
;; Looks at the calendar.
(import "wasi:clocks/wall-clock@0.2.6" "now" (func $ask (param i32)))
(func $reach (call $ask (i32.const 4096)))
(func (export "build") (param i32 i32 i32) (result i32) (call $reach) (i32.const 1200))

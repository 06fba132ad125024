/*
 * Functions that hold a message while they wait for the next one, as one compiler makes them at one
 * level.  test_liveness_compiled.c runs each, and asks about every place of its frame that holds
 * the message at the second take().
 */
typedef void *take_function(void);
typedef void handle_function(void *);

/* The message is dead once it has been handled. */
void stale_loop(take_function *take, handle_function *handle)
{
    void *message;
    while ((message = take()) != 0)
        handle(message);
}

/* It is handled again at the end. */
void live_loop(take_function *take, handle_function *handle)
{
    void *message, *last = 0;
    while ((message = take()) != 0) {
        handle(message);
        last = message;
    }
    handle(last);
}

void stale_branch(take_function *take, handle_function *handle)
{
    void *message = take();
    if (message != 0) {
        handle(message);
        handle(message);
    }
    void *other = take();
    handle(other);
    handle(other);
}

/* One path reads it. */
void live_branch(take_function *take, handle_function *handle)
{
    void *message = take();
    handle(message);
    void *other = take();
    handle(other);
    if (other == 0)
        handle(message);
}

void stale_fields(take_function *take, handle_function *handle)
{
    struct {
        void *first, *second;
    } pair;
    pair.first = take();
    handle(pair.first);
    handle(pair.first);
    pair.second = take();
    handle(pair.second);
    pair.first = pair.second;
    handle(pair.first);
}

void live_fields(take_function *take, handle_function *handle)
{
    struct {
        void *first, *second;
    } pair;
    pair.first = take();
    handle(pair.first);
    pair.second = take();
    handle(pair.second);
    handle(pair.first);
}

/* Its address was given away: whatever holds it may be read by anyone. */
void live_address(take_function *take, handle_function *handle)
{
    void *volatile message = take();
    handle((void *)&message);
    handle(take());
}

/* A table of jumps leads to one that reads it. */
void live_switch(take_function *take, handle_function *handle)
{
    void *message = take();
    handle(message);
    switch ((unsigned long)take() & 7) {
    case 1:
        handle(&take);
        break;
    case 2:
        handle(&handle);
        break;
    case 0:
        handle(message);
        break;
    case 4:
        handle((void *)4);
        break;
    case 5:
        handle((void *)5);
        handle((void *)1);
        break;
    case 6:
        handle((void *)16);
        break;
    default:
        break;
    }
}

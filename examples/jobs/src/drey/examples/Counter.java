package drey.examples;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * A stateful streaming job: squirrels find nuts, and each squirrel's nuts are counted.
 *
 * <p>The counts are state: after an upgrade they go on where they were. Without {@code --output} the lines go
 * to the TaskManager's standard output.
 */
public final class Counter {
    private static final String[] SQUIRRELS = {"Hazel", "Acorn", "Chestnut", "Walnut", "Pecan"};

    public static void main(String[] words) throws Exception {
        Arguments arguments = new Arguments(words, "rate", "output");
        StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();

        DataStream<String> lines = environment
                .fromSource(
                        new NumberSource(arguments.number("rate", 5)),
                        WatermarkStrategy.noWatermarks(),
                        "nuts",
                        Types.LONG)
                .uid("nuts")
                .keyBy(nut -> SQUIRRELS[(int) (nut % SQUIRRELS.length)], Types.STRING)
                .process(new CountNuts())
                .returns(Types.STRING)
                .name("count")
                .uid("count");

        if (arguments.path("output").isPresent()) {
            lines.sinkTo(Lines.in(arguments.requiredPath("output"))).name("lines").uid("lines");
        } else {
            lines.print().name("lines").uid("lines");
        }
        environment.execute();
    }

    private static final class CountNuts extends KeyedProcessFunction<String, Long, String> {
        private final ValueStateDescriptor<Long> description = new ValueStateDescriptor<>("nuts", Types.LONG);

        @Override
        public void processElement(Long nut, Context context, Collector<String> out) throws Exception {
            ValueState<Long> nuts = getRuntimeContext().getState(description);
            long count = nuts.value() == null ? 1 : nuts.value() + 1;
            nuts.update(count);
            out.collect(context.getCurrentKey() + " has " + count + " nuts");
        }
    }
}
